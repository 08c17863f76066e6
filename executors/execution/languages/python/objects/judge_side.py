"""Process of a judge that runs a test on proxies of a candidate's objects."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import random
import sys
import types
from collections.abc import Mapping
from typing import Any, NoReturn

from testbudget.executors.execution.languages.base import Connection, Program
from testbudget.executors.execution.languages.messages import StepMessage
from testbudget.executors.execution.languages.python.interpreter import (
    MODULE,
    is_reusable,
    restore_interpreter,
)
from testbudget.executors.execution.languages.python.objects import judge_checks, mirrors, proxy_peer
from testbudget.executors.execution.languages.python.objects.judge_peer import JudgePeer
from testbudget.executors.execution.languages.python.objects.library_calls import DIVERTED, LibraryCalls
from testbudget.executors.execution.languages.python.objects.names import JudgeNames
from testbudget.executors.execution.languages.python.objects.scripts import NoScriptError
from testbudget.executors.execution.languages.python.objects.settings import JudgeSettings
from testbudget.executors.execution.languages.python.objects.settings_patches import patch_targets
from testbudget.executors.execution.languages.python.objects.wire import Pipe
from testbudget.executors.execution.languages.python.programs import CompiledTest
from testbudget.executors.execution.languages.python.test_run import TestRun, run_test
from testbudget.executors.execution.processes.result_buffer import ResultBuffer, failure_verdict
from testbudget.rewards.problem import TestKind, Verdict
from testbudget.rewards.verdict_reason import DetailName, VerdictReason

_DIVERTING = frozenset(part for name in DIVERTED for part in name.split(".")) | {
    "unittest.mock",
    "functools",
}
"""Names of which a test uses one if it calls, or library code calls for it, what is diverted."""

_MAX_UNEQUAL = 24
_DIFFERENT = VerdictReason("Two objects of the candidate are equal by its own ==, but not in their states.")
_TAUGHT = VerdictReason(
    "The candidate's own operator was shown plain data of the test before its other answers."
)
_NO_SCRIPT = VerdictReason("Two objects of the candidate are equal by its own == alone.")


def judge_objects(
    buffer: ResultBuffer, connection: Connection, test: Program, entry_point: str | None
) -> bool:
    """Run a test on proxies, as described by `Language.judge_objects`."""
    buffer.begin(0)
    modules = dict(sys.modules)
    judge = _Judge(buffer, connection, test, entry_point)
    message = judge.run()
    buffer.append(0, json.dumps(message).encode())
    buffer.finish(0)
    if not judge.leaves_nothing():
        return False
    del judge
    return _is_as_before(modules)


def _is_as_before(modules: Mapping[str, types.ModuleType]) -> bool:
    """Let go of a pair; return whether this process is as it was before.

    Args:
        modules: the modules that were loaded before.
    """
    proxy_peer.uninstall()
    mirrors.forget_mirrors()
    for name in (MODULE, "__main__"):
        if name in modules:
            sys.modules[name] = modules[name]
        else:
            del sys.modules[name]
    gc.collect()
    return sys.modules == modules and is_reusable()


class _Judge:
    """Judge of one pair."""

    def __init__(
        self, buffer: ResultBuffer, connection: Connection, test: Program, entry_point: str | None
    ) -> None:
        self._buffer = buffer
        self._test = test
        self._compiled = CompiledTest(*test.content)
        self._names = JudgeNames(self._compiled.code, entry_point)
        self._shares_names = self._compiled.kind == TestKind.ASSERT
        self._peer = JudgePeer(Pipe(connection), self._names, self._end)
        self._settings: JudgeSettings | None = None

    def leaves_nothing(self) -> bool:
        """Return whether this process seems unchanged by the test and by the candidate."""
        settings_are_first = self._settings is None or self._settings.close()
        return settings_are_first and self._compiled.leaves_nothing and not self._peer.was_told

    def run(self) -> list[Any]:
        """Run the test, and return the message of its verdict."""
        restore_interpreter()
        sys.modules[MODULE] = sys.modules["__main__"] = self._names.solution
        loaded = self._peer.load()
        if loaded is not None:
            return _not_loaded(loaded)
        peer, names = self._peer, self._names
        library: contextlib.AbstractContextManager[None] = contextlib.nullcontext()
        if not _DIVERTING.isdisjoint(names.used):
            library = LibraryCalls(peer, vars(names.module), self._compiled.code).diverted()
        with judge_checks.identity_checks(peer.lose, peer.identical_object), library:
            targets = patch_targets(self._compiled.code)
            namespaces = vars(names.solution), vars(names.module)
            self._settings = JudgeSettings(peer.encode, targets, *namespaces, peer.decode_piece, names.used)
            peer.watch(self._settings)
            run = run_test(
                names.module,
                self._test,
                lambda: peer.used > 0,
                peer.caveats,
                note_same=peer.identical_object,
            )
            if run.verdict is not Verdict.PASSED:
                return self._not_passed(run)
            peer.request(["nop"])  # a candidate that has ended passes nothing
        doubts = [*names.doubts, *peer.doubts, *peer.losses]
        if self._shares_names:
            doubts += names.rebinding_doubts()
        if doubts:
            return _verdict(Verdict.UNCONFIRMED, VerdictReason(doubts[0]))
        return self._passed()

    def _not_passed(self, run: TestRun) -> list[Any]:
        losses = list(self._peer.losses)
        if self._shares_names and self._names.hides_helpers():
            losses.append("The test binds a name anew that the candidate defines and reads.")
        losses += self._peer.excuses
        detail = {} if run.reason is None else run.reason.detail
        line, given = detail.get(DetailName.LINE), detail.get(DetailName.GIVEN)
        looks_equal = given is not None and given == detail.get(DetailName.EXPECTED)
        if line and looks_equal and judge_checks.compares_identity(self._compiled.code, int(line)):
            losses.append(judge_checks.LOST_IDENTITY)
        if losses and run.verdict in {Verdict.FAILED, Verdict.ERRORED}:
            return _verdict(Verdict.UNCONFIRMED, VerdictReason(losses[0]))
        return _verdict(run.verdict, run.reason)

    def _passed(self) -> list[Any]:
        peer = self._peer
        equal, unequal = [], []
        told_apart: set[type] = set()
        alike: set[type] = set()
        try:
            for one, other, position in peer.equal:
                pair, differing = peer.log.equality(one, other, position)
                equal.append(pair)
                unequal += differing
                (told_apart if differing else alike).add(type(peer.proxy_of(one)))
            if not alike <= told_apart:  # objects that keep nothing are all alike
                raise NoScriptError
            shown_alike = [peer.log.same_object(*one) for one in peer.same]
            shown_alike += [peer.log.constructed_again(*one) for one in peer.again]
            for shown in shown_alike:
                if shown is not None:
                    equal.append(shown[0])
                    unequal += shown[1]
        except NoScriptError:
            return _verdict(Verdict.UNCONFIRMED, _NO_SCRIPT)
        try:
            if peer.taught is not None and (pair := peer.log.untaught(peer.taught)):
                equal.append(pair)
        except NoScriptError:
            return _verdict(Verdict.UNCONFIRMED, _TAUGHT)
        if not equal:
            return _verdict(Verdict.PASSED, None)
        unequal = random.Random(self._names.seed).sample(unequal, min(len(unequal), _MAX_UNEQUAL))
        return [StepMessage.IF_EQUAL, equal, _DIFFERENT.as_message(), unequal]

    def _end(self, verdict: Verdict, sentence: str) -> NoReturn:
        """End this process at once; no handler of the test's runs."""
        try:
            with contextlib.suppress(Exception):
                self._buffer.append(0, json.dumps(_verdict(verdict, VerdictReason(sentence))).encode())
                self._buffer.finish(0)
        finally:
            os._exit(0)


def _verdict(verdict: Verdict, reason: VerdictReason | None) -> list[Any]:
    return [StepMessage.VERDICT, verdict, 0, None if reason is None else reason.as_message()]


def _not_loaded(message: list[Any]) -> list[Any]:
    """Message of a candidate that was not loaded; it comes from its process."""
    verdict = failure_verdict(*message[1:2])
    reason = VerdictReason.from_message(message[2] if len(message) > 2 else None)
    return [StepMessage.NOT_LOADED, verdict, None if reason is None else reason.as_message()]

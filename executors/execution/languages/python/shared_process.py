"""A Python test and a candidate in one interpreter: for what cannot be told apart by plain data.

A pass here counts only for a candidate that ``scrutiny`` acquits, that names nothing which the test
defines, that redefines no builtin which the test uses, and whose operators stand the ``proof``.
"""

import builtins
import dataclasses
import enum
import json
import re
import sys
import types
from collections.abc import Collection, Sequence
from typing import Any

from testbudget.executors.execution.languages.base import Program, StepMessage
from testbudget.executors.execution.languages.python.judge import run_test
from testbudget.executors.execution.languages.python.operator_checks import OperatorCheck
from testbudget.executors.execution.languages.python.programs import (
    bindings,
    defined_names,
    is_fit,
    load,
    open_by_name,
    used_names,
)
from testbudget.executors.execution.processes.process import ProcessRunner
from testbudget.executors.execution.processes.result_buffer import ResultBuffer
from testbudget.rewards.problem import Verdict

_BUILTINS = frozenset(name for name in vars(builtins) if name[0] != "_")
_LOOKS_LIKE_A_CLASS = re.compile(r"_*[A-Z]\w*[a-z]")


def judge_in_shared_process(
    buffer: ResultBuffer,
    process_runner: ProcessRunner,
    candidate: Program,
    tests: Sequence[Program],
    entry_point: str | None,
) -> None:
    """See ``Language.judge_in_shared_process``; stops early where this process is not fit for another test."""
    proof = OperatorCheck()
    _watch_classes(proof)
    used = used_names(candidate.content)
    if candidate.innocent and "open" in used:
        builtins.open = open_by_name  # type: ignore[assignment]
    for step, test in enumerate(tests):
        buffer.begin(step)
        proof.start()
        loaded = load(candidate.content, entry_point)
        if isinstance(loaded, Verdict):
            left: list[object] = [StepMessage.NOT_LOADED, loaded]
        else:
            buffer.mark_loaded()
            kind, code = test.content
            before = dict(vars(loaded))
            mixed = _mixes(candidate.content, used, before, code, entry_point)
            verdict = run_test(loaded, code, kind)
            mixed = mixed or not used.isdisjoint(vars(loaded).keys() - before.keys())
            left = [StepMessage.VERDICT, verdict, mixed or bool(proof.p_wrong)]
        buffer.append(step, json.dumps(left).encode())
        buffer.finish(step)
        if left[1] == Verdict.OUT_OF_MEMORY or isinstance(loaded, Verdict) or not is_fit():
            return
        process_runner.reset_scratch()


def _mixes(
    candidate: types.CodeType,
    used: Collection[str],
    defined: dict[str, Any],
    test: types.CodeType,
    entry_point: str | None,
) -> bool:
    """Whether names mean something to one of the two that the other has made of them.

    Args:
        candidate: its code.
        used: all names that it uses.
        defined: what it has defined.
        test: its code.
        entry_point: what the test is about.
    """
    for name, origin in bindings(test).items():
        if name in used and (
            origin is None or name not in defined or _imported(*origin) is not defined[name]
        ):
            return True
    uses = used_names(test)
    names = (defined_names(candidate) | defined.keys()) & uses
    if not _BUILTINS.isdisjoint(names - {entry_point}):
        return True
    # What looks like a class and is none can give the same object whatever it is asked for.
    looks = (name for name in names if _LOOKS_LIKE_A_CLASS.match(name))
    return any(callable(defined.get(name)) and not isinstance(defined[name], type) for name in looks)


def _imported(module: str, name: str | None) -> Any:
    """What an import gives, if that is known without importing anything."""
    found = sys.modules.get(module)
    return found if name is None else getattr(found, name, None)


def _watch_classes(proof: OperatorCheck) -> None:
    """Have the proof see every class that is made from now on, in whatever way."""
    build_class = builtins.__build_class__
    process_class: Any = vars(dataclasses)["_process_class"]
    create: Any = vars(enum.EnumType)["_create_"]

    def watched_class(*arguments: Any, **keywords: Any) -> Any:
        made = build_class(*arguments, **keywords)
        if isinstance(made, type):
            proof.watch(made)
        return made

    def watched_dataclass(*arguments: Any, **keywords: Any) -> Any:
        made = process_class(*arguments, **keywords)
        proof.watch(made)
        return made

    def doubted_enumeration(*arguments: Any, **keywords: Any) -> Any:
        proof.p_wrong += 1  # by computed names it may get any method
        return create(*arguments, **keywords)

    builtins.__build_class__ = watched_class
    dataclasses._process_class = watched_dataclass  # type: ignore[attr-defined]
    enum.EnumType._create_ = doubted_enumeration  # type: ignore[attr-defined]

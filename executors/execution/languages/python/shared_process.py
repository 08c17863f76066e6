"""Judging of Python pairs in the same process, for pairs that exchange more than plain data.

A pass counts only if the candidate

- is side-effect free (`static_analysis`),
- names nothing that the test defines,
- redefines no builtin that the test uses,
- has operators without contradictions (`operator_checks`).
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
from testbudget.executors.execution.languages.python.interpreter import (
    is_reusable,
    load_candidate,
    open_by_name,
)
from testbudget.executors.execution.languages.python.judge import run_test
from testbudget.executors.execution.languages.python.operator_checks import OperatorCheck
from testbudget.executors.execution.languages.python.programs import bindings, defined_names, used_names
from testbudget.executors.execution.processes.process import ProcessRunner
from testbudget.executors.execution.processes.result_buffer import ResultBuffer
from testbudget.rewards.problem import Verdict

_BUILTINS = frozenset(name for name in vars(builtins) if name[0] != "_")
_LOOKS_LIKE_A_CLASS = re.compile(r"_*[A-Z]\w*[a-z]")


def judge_in_same_process(
    buffer: ResultBuffer,
    process_runner: ProcessRunner,
    candidate: Program,
    tests: Sequence[Program],
    entry_point: str | None,
) -> None:
    """Run each test with the candidate, as described by `Language.judge_in_same_process`.

    If this process cannot be reused for another test, the remaining steps are left out.
    """
    operator_check = OperatorCheck()
    _watch_classes(operator_check)
    used = used_names(candidate.content)
    if candidate.side_effect_free and "open" in used:
        builtins.open = open_by_name  # type: ignore[assignment]
    for step, test in enumerate(tests):
        buffer.begin(step)
        operator_check.start()
        loaded = load_candidate(candidate.content, entry_point)
        if isinstance(loaded, Verdict):
            message: list[object] = [StepMessage.NOT_LOADED, loaded]
        else:
            buffer.mark_loaded()
            kind, code = test.content
            before = dict(vars(loaded))
            shared = _shares_names(candidate.content, used, before, code, entry_point)
            verdict = run_test(loaded, code, kind)
            shared = shared or not used.isdisjoint(vars(loaded).keys() - before.keys())
            message = [StepMessage.VERDICT, verdict, shared or bool(operator_check.failures)]
        buffer.append(step, json.dumps(message).encode())
        buffer.finish(step)
        if message[1] == Verdict.OUT_OF_MEMORY or isinstance(loaded, Verdict) or not is_reusable():
            return
        process_runner.reset_scratch()


def _shares_names(
    candidate: types.CodeType,
    used: Collection[str],
    defined: dict[str, Any],
    test: types.CodeType,
    entry_point: str | None,
) -> bool:
    """Return whether candidate or test defines a name that the other one uses in another meaning.

    Args:
        candidate: code of the candidate.
        used: names that the candidate uses.
        defined: names that the candidate has defined, with their values.
        test: code of the test.
        entry_point: name of the function or class under test; None if unknown.
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
    # A function named like a class may return the same object for all arguments.
    class_names = (name for name in names if _LOOKS_LIKE_A_CLASS.match(name))
    return any(callable(defined.get(name)) and not isinstance(defined[name], type) for name in class_names)


def _imported(module: str, name: str | None) -> Any:
    """Object that an import binds; None if the module is not loaded."""
    found = sys.modules.get(module)
    return found if name is None else getattr(found, name, None)


def _watch_classes(operator_check: OperatorCheck) -> None:
    """Register every class that is created from now on with the operator check."""
    build_class = builtins.__build_class__
    process_class: Any = vars(dataclasses)["_process_class"]
    create: Any = vars(enum.EnumType)["_create_"]

    def watched_class(*arguments: Any, **keywords: Any) -> Any:
        made = build_class(*arguments, **keywords)
        if isinstance(made, type):
            operator_check.watch(made)
        return made

    def watched_dataclass(*arguments: Any, **keywords: Any) -> Any:
        made = process_class(*arguments, **keywords)
        operator_check.watch(made)
        return made

    def rejected_enumeration(*arguments: Any, **keywords: Any) -> Any:
        operator_check.failures += 1  # computed names may add any method
        return create(*arguments, **keywords)

    builtins.__build_class__ = watched_class
    dataclasses._process_class = watched_dataclass  # type: ignore[attr-defined]
    enum.EnumType._create_ = rejected_enumeration  # type: ignore[attr-defined]

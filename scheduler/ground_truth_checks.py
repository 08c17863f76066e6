"""Checks of ground truths, before anything is spent on problems whose labels would be wrong.

A ground truth is refused if it does not parse, runs no assertion, never calls the candidate, needs a module
that the sandbox lacks, is passed by a stub of the entry point that does nothing, or is failed by the
problem's own reference program. A stub that returns its argument is no such sign: the identity is the right
answer to some problems.
"""

import ast
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from testbudget.executors.execution.runner import BlockVerdicts
from testbudget.rewards.comparison import TextComparison
from testbudget.rewards.errors import UserError
from testbudget.rewards.problem import NOT_RUN, GroundTruth, Problem, TestKind, Verdict
from testbudget.rewards.stdin_case import stdin_cases
from testbudget.rewards.verdict_reason import DetailName, VerdictReason

_TRIED = 10  # tests that a stub is run on first; it is run on the others only if it passes all of these
_SHOWN = 5
_NO_TEST = {
    "No assertion of the test ran.": "runs no assertion",
    "The test does not call the candidate.": "never calls the candidate",
    "Every case was skipped.": "skips every case",
}
_STUBS = {
    "python": (
        "def {name}(*args, **kwargs):\n    return None\n",
        "class {owner}:\n    def __init__(self, *args, **kwargs):\n        pass\n\n"
        "    def {name}(*args, **kwargs):\n        return None\n",
        "class {name}:\n    def __init__(self, *args, **kwargs):\n        pass\n\n"
        "    def __getattr__(self, name):\n        return lambda *args, **kwargs: None\n",
    ),
    "javascript": (
        "function {name}() {{}}\n",
        "class {owner} {{\n  {name}() {{}}\n}}\n",
        "class {name} {{\n  constructor() {{\n"
        "    return new Proxy(this, {{ get: () => () => undefined }});\n  }}\n}}\n",
    ),
}


@dataclass(frozen=True, slots=True)
class TruthFault:
    """Ground truth that cannot judge candidates.

    Attributes:
        problem: id of the problem.
        reason: what the ground truth does, to be read after "its ground truth".
    """

    problem: str
    reason: str


@dataclass(frozen=True, slots=True)
class TruthTrial:
    """Program to run on tests of a problem's ground truth.

    Attributes:
        problem: the problem.
        program: a stub or the reference program.
        tests: positions of the tests among those of the ground truth.
        is_stub: True for a stub.
    """

    problem: Problem
    program: str
    tests: tuple[int, ...]
    is_stub: bool


RunTrials = Callable[[Sequence[TruthTrial]], Iterable[tuple[TruthTrial, BlockVerdicts]]]
"""Function that runs trials, in any order. Trials that the infrastructure loses are left out."""


def check_ground_truths(problems: Sequence[Problem], run_trials: RunTrials) -> None:
    """Refuse problems whose ground truth cannot judge candidates.

    Args:
        problems: problems of a run.
        run_trials: runs programs in sandboxes.

    Raises:
        UserError: a ground truth is at fault. The message names the problems.
    """
    faults = ground_truth_faults(problems, run_trials)
    if faults:
        shown = "; ".join(f"{fault.problem}: it {fault.reason}" for fault in faults[:_SHOWN])
        more = f"; and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
        raise UserError(
            f"the ground truth of {len(faults)} of {len(problems)} problems cannot judge candidates: "
            f"{shown}{more}. Correct or remove these rows, or set problems.check_ground_truth to false."
        )


def ground_truth_faults(problems: Sequence[Problem], run_trials: RunTrials) -> list[TruthFault]:
    """Ground truths that cannot judge candidates, in the order of the problems.

    Args:
        problems: problems; those without a ground truth are not checked.
        run_trials: runs programs in sandboxes.
    """
    faults: dict[str, str] = {}
    first: list[TruthTrial] = []
    for problem in problems:
        if problem.ground_truth is None:
            continue
        if reason := text_fault(problem, problem.ground_truth):
            faults[problem.id] = reason
        else:
            first += _trials(problem, problem.ground_truth)
    again: list[TruthTrial] = []
    for trial, block in run_trials(first):
        reason, passed = _fault_of(trial, block)
        left = tuple(range(len(trial.tests), len(_truth(trial.problem).tests)))
        if reason is not None and trial.is_stub and passed and left:
            again.append(TruthTrial(trial.problem, trial.program, left, True))
        elif reason is not None:
            faults.setdefault(trial.problem.id, reason)
    for trial, block in run_trials(again) if again else ():
        reason, _ = _fault_of(trial, block)
        if reason is not None:
            faults.setdefault(trial.problem.id, reason)
    return [TruthFault(problem.id, faults[problem.id]) for problem in problems if problem.id in faults]


def text_fault(problem: Problem, truth: GroundTruth) -> str | None:
    """Fault that the text of a ground truth shows without being run; None if it shows none."""
    if truth.kind is TestKind.STDIN:
        return _fault_of_cases(problem, truth)
    if problem.entry_point is None:
        return "calls the candidate but the problem has no entry_point"
    return _fault_of_code(problem.entry_point, truth) if problem.language == "python" else None


def _fault_of_cases(problem: Problem, truth: GroundTruth) -> str | None:
    try:
        cases = [case for text in truth.tests for case in stdin_cases(text)]
    except ValueError:
        return "holds a test that is no input with its output"
    if problem.entry_point is not None:
        return f"reads standard input but the problem has the entry_point {problem.entry_point}"
    if problem.comparison.checker is not None:
        return None
    if any(case.expected_stdout is None for case in cases):
        return "holds an input without an expected output"
    exact = problem.comparison.text is TextComparison.EXACT
    outputs = [case.expected_stdout or "" for case in cases]
    if not any(output if exact else output.strip() for output in outputs):
        return "is passed by a program that prints nothing"
    return None


def _fault_of_code(entry_point: str, truth: GroundTruth) -> str | None:
    modules = []
    for number, code in enumerate(truth.tests, 1):
        which = f"test {number} of it " if len(truth.tests) > 1 else ""
        try:
            modules.append(ast.parse(code))
        except SyntaxError as error:
            return f"does not parse: {which}{error.msg} on line {error.lineno}"
        except (ValueError, MemoryError, RecursionError) as error:
            return f"does not parse: {which}{error}"
    for module in modules:
        words = {word for node in ast.walk(module) for word in _words(node)}
        if not any(word.lower().startswith(("assert", "fail", "raises", "warns")) for word in words):
            return "runs no assertion"
        names = set(re.findall(r"\w+", entry_point))
        if not words & names and not (truth.kind is TestKind.CHECK or _takes_candidate(module)):
            return f"never calls the candidate: it does not name {entry_point}"
    return None


def _words(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Assert():
            yield "assert"
        case ast.Name(id=name) | ast.Attribute(attr=name) | ast.alias(name=name):
            yield name
        case ast.Constant(value=str(text)) if text.isidentifier():  # globals()["f"]
            yield text


def _takes_candidate(module: ast.Module) -> bool:
    return any(isinstance(node, ast.FunctionDef) and node.name == "check" for node in module.body)


def _trials(problem: Problem, truth: GroundTruth) -> Iterator[TruthTrial]:
    if truth.kind is not TestKind.STDIN and (stub := stub_of(problem)):
        yield TruthTrial(problem, stub, tuple(range(min(_TRIED, len(truth.tests)))), True)
    if problem.reference is not None:
        yield TruthTrial(problem, problem.reference, tuple(range(len(truth.tests))), False)


def stub_of(problem: Problem) -> str | None:
    """Program whose entry point does nothing and returns nothing; None in a language without one."""
    forms = _STUBS.get(problem.language)
    if forms is None or problem.entry_point is None:
        return None
    owner, _, name = problem.entry_point.replace("()", "").rpartition(".")
    if owner:
        return forms[1].format(owner=owner, name=name)
    is_class = name[0].isupper() or re.search(
        rf"^\s*class\s+{re.escape(name)}\b", problem.prompt, re.MULTILINE
    )
    return forms[2 if is_class else 0].format(name=name)


def _fault_of(trial: TruthTrial, block: BlockVerdicts) -> tuple[str | None, bool]:
    """Fault that a trial shows, or None; and True if the program passed all its tests."""
    if block.lost.any():
        return None, False
    verdicts = [int(verdict) for verdict in block.verdicts[0]]
    reasons = [block.reasons[int(number)] for number in block.reason_of[0]]
    if trial.is_stub:
        for reason in reasons:
            if fault := _NO_TEST.get(reason.sentence) or _missing_module(reason):
                return fault, False
        if all(verdict in (Verdict.PASSED, Verdict.UNCONFIRMED) for verdict in verdicts):
            return f"is passed by a {_entry(trial.problem)} that does nothing", True
        return None, False
    failed = np.flatnonzero([verdict != Verdict.PASSED for verdict in verdicts]).tolist()
    if not failed:
        return None, True
    number = failed[0]
    which = f"test {trial.tests[number] + 1} of it: " if len(verdicts) > 1 else ""
    verdict = "not run" if verdicts[number] == NOT_RUN else _spoken(Verdict(verdicts[number]))
    if verdicts[number] == Verdict.UNCONFIRMED:
        verdict += ", which execution.trust honest would count"
    return (
        f"is not passed by the row's own solution ({which}{verdict}, {_sentence(reasons[number])})",
        False,
    )


def _spoken(verdict: Verdict) -> str:
    return verdict.name.lower().replace("_", " ")


def _missing_module(reason: VerdictReason) -> str | None:
    module = reason.detail.get(DetailName.MODULE)
    return f"needs the module {module}, which the sandbox lacks" if module else None


def _entry(problem: Problem) -> str:
    return f"stub of {problem.entry_point}"


def _sentence(reason: VerdictReason) -> str:
    return reason.sentence.rstrip(".")


def _truth(problem: Problem) -> GroundTruth:
    assert problem.ground_truth is not None
    return problem.ground_truth

"""What was found out elsewhere of one problem: who passed which test, and what else is known."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rewards.errors import UserError

NOTHING = -1
"""A pair that was not run, an output of which nothing is known, or the test of an input run alone."""


@dataclass(frozen=True, slots=True, eq=False)
class Outcomes:
    """What is known of one problem.

    Attributes:
        problem: its id.
        votes: int8 (candidates, tests), 1 for passed, 0 for not passed, ``NOTHING`` for not run.
        correct: bool (candidates,), the labels.
        programs: int64 (candidates,), equal for candidates that are the same program.
        outputs: int64 (candidates, inputs), on one input equal for equal outputs; ``NOTHING`` where nothing
            is known, lower where no value came back. Without outputs there are no inputs.
        input_tests: int64 (inputs,), the test that each input came with, or ``NOTHING``.
        inputs: int64 (inputs,), equal where one input came with several tests.
        tokens, gpu_seconds: float64 (tests,), what each test cost to write; NaN where nobody measured.
        cpu_seconds: float64 (candidates, tests), what each pair took; NaN where nobody measured.
        predicted_pass_rate: NaN without one.
    """

    problem: str
    votes: NDArray[np.int8]
    correct: NDArray[np.bool_]
    programs: NDArray[np.int64]
    outputs: NDArray[np.int64]
    input_tests: NDArray[np.int64]
    inputs: NDArray[np.int64]
    tokens: NDArray[np.float64]
    gpu_seconds: NDArray[np.float64]
    cpu_seconds: NDArray[np.float64]
    predicted_pass_rate: float

    @classmethod
    def checked(cls, problem: str, given: Mapping[str, NDArray[Any]]) -> "Outcomes":
        """The outcomes that arrays hold, with what follows where one is not given.

        Args:
            problem: its id.
            given: arrays by name, names being those of ``RULES``.

        Raises:
            UserError: votes or labels are missing, or an array is against a rule.
        """
        if not problem.strip():
            raise UserError("every problem must have an id but one has none")
        for needed in ("votes", "correct"):
            if needed not in given:
                raise UserError(f"problem {problem} must have votes and correct but lacks {needed}")
        sizes = _sizes(problem, given)
        for name, array in given.items():
            _check(problem, name, array, sizes)
        candidates, tests, inputs = (sizes[axis] for axis in AXES)
        input_tests = given.get("input_test", np.arange(inputs))
        if inputs and "input_test" not in given and inputs != tests:
            rule = f"be given, since outputs are of {inputs} inputs and not of {tests}, one for each test,"
            raise _against(problem, "input_test", rule, "is not")
        if (input_tests >= tests).any():
            rule = f"hold tests from 0 to {tests - 1}, or {NOTHING},"
            raise _against(problem, "input_test", rule, f"has {input_tests.max():g}")
        _, first, programs = np.unique(
            given.get("program", np.arange(candidates)), return_index=True, return_inverse=True
        )
        for name in ("votes", "outputs"):
            if name in given and (given[name] != given[name][first[programs]]).any():
                raise _against(problem, name, "be the same for candidates of one program", "are not")
        return cls(
            problem,
            given["votes"].astype(np.int8),
            given["correct"].astype(np.bool_),
            programs,
            given.get("outputs", np.zeros((candidates, 0))).astype(np.int64),
            input_tests.astype(np.int64),
            given.get("input", np.arange(inputs)).astype(np.int64),
            given.get("tokens", np.full(tests, np.nan)).astype(np.float64),
            given.get("gpu_seconds", np.full(tests, np.nan)).astype(np.float64),
            given.get("cpu_seconds", np.full((candidates, tests), np.nan)).astype(np.float64),
            float(given.get("predicted_pass_rate", np.nan)),
        )


class Rule(NamedTuple):
    """What an array holds: what its axes count, and which values it may have."""

    axes: tuple[str, ...]
    low: float
    high: float
    whole: bool = True


AXES = ("candidates", "tests", "inputs")
"""What the axes of the arrays count."""

_LARGEST = 2**31 - 1
RULES: Mapping[str, Rule] = {
    "votes": Rule(("candidates", "tests"), NOTHING, 1),
    "correct": Rule(("candidates",), 0, 1),
    "program": Rule(("candidates",), 0, _LARGEST),
    "outputs": Rule(("candidates", "inputs"), -_LARGEST, _LARGEST),
    "input_test": Rule(("inputs",), NOTHING, _LARGEST),
    "input": Rule(("inputs",), 0, _LARGEST),
    "tokens": Rule(("tests",), 0, _LARGEST),
    "gpu_seconds": Rule(("tests",), 0, math.inf, whole=False),
    "cpu_seconds": Rule(("candidates", "tests"), 0, math.inf, whole=False),
    "predicted_pass_rate": Rule((), 0, 1, whole=False),
}
"""The arrays that a problem may have, by name."""


def _sizes(problem: str, given: Mapping[str, NDArray[Any]]) -> dict[str, int]:
    votes, outputs = given["votes"], given.get("outputs")
    if votes.ndim != 2 or not len(votes):
        rule = "be candidates x tests, of at least one candidate,"
        raise _against(problem, "votes", rule, f"have the shape {votes.shape}")
    inputs = outputs.shape[1] if outputs is not None and outputs.ndim == 2 else 0
    return dict(zip(AXES, (*votes.shape, inputs), strict=True))


def _check(problem: str, name: str, array: NDArray[Any], sizes: Mapping[str, int]) -> None:
    rule = RULES[name]
    shape = tuple(sizes[axis] for axis in rule.axes)
    if array.shape != shape:
        axes = " x ".join(rule.axes) or "one number"
        raise _against(problem, name, f"be {axes}, shape {shape},", f"got the shape {array.shape}")
    if array.dtype.kind not in "biuf":
        raise _against(problem, name, "be numbers", f"got {array.dtype}")
    wrong = ~((array >= rule.low) & (array <= rule.high))  # so NaN is wrong too
    if rule.whole:
        wrong |= array != np.floor(array)
    if wrong.any():
        numbers = "whole numbers" if rule.whole else "numbers"
        rule_text = f"be {numbers} from {rule.low:g} to {rule.high:g}"
        raise _against(problem, name, rule_text, f"got {array[wrong].flat[0]}")


def _against(problem: str, name: str, rule: str, instead: str) -> UserError:
    return UserError(f"{name} of problem {problem} must {rule} but {instead}")

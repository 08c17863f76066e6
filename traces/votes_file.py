"""Imported votes: arrays in one ``.npz`` file.

The file has one of two forms. Either each problem has its own arrays (``votes/ID``). Or the file has an
array ``ids``, the arrays of all problems are concatenated, and votes are packed bits. Both forms are
described in ``docs/importing_votes.md``.
"""

import math
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from testbudget.rewards.errors import UserError

NOTHING = -1
"""Value of a pair that was not run, of an unknown output, and of the test of an input without a test."""


@dataclass(frozen=True, slots=True, eq=False)
class ImportedVotes:
    """Votes, labels and costs of one problem.

    Attributes:
        problem: its id.
        votes: int8 (candidates, tests); 1 passed, 0 not passed, ``NOTHING`` not run.
        correct: bool (candidates,), labels.
        programs: int64 (candidates,), equal for candidates with the same program.
        outputs: int64 (candidates, inputs), equal for equal outputs on one input; ``NOTHING`` if unknown,
            lower if the call returned no value. No inputs if there are no outputs.
        input_tests: int64 (inputs,), the test of each input, or ``NOTHING``.
        inputs: int64 (inputs,), equal if several tests have the same input.
        tokens, gpu_seconds: float64 (tests,), cost of generating each test; NaN if unmeasured.
        cpu_seconds: float64 (candidates, tests), cost of executing each pair; NaN if unmeasured.
        predicted_pass_rate: predicted pass rate in [0, 1]; NaN if unknown.
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
    def checked(cls, problem: str, given: Mapping[str, NDArray[Any]]) -> "ImportedVotes":
        """Votes of one problem from arrays, with defaults for the arrays that are not given.

        Args:
            problem: its id.
            given: arrays by name; the names are those of ``docs/importing_votes.md``.

        Raises:
            UserError: votes or labels are missing, or an array breaks a rule.
        """
        if not problem.strip():
            raise UserError("every problem must have an id but one has none")
        for needed in ("votes", "correct"):
            if needed not in given:
                raise UserError(f"problem {problem} must have votes and correct but lacks {needed}")
        sizes = _sizes(problem, given)
        for name, array in given.items():
            _check(problem, name, array, sizes)
        candidates, tests, inputs = (sizes[axis] for axis in _AXES)
        input_tests = given.get("input_test", np.arange(inputs))
        if inputs and "input_test" not in given and inputs != tests:
            rule = f"be given, since outputs are of {inputs} inputs and not of {tests}, one for each test,"
            raise _broken_rule(problem, "input_test", rule, "is not")
        if (input_tests >= tests).any():
            rule = f"hold tests from 0 to {tests - 1}, or {NOTHING},"
            raise _broken_rule(problem, "input_test", rule, f"has {input_tests.max():g}")
        _, first, programs = np.unique(
            given.get("program", np.arange(candidates)), return_index=True, return_inverse=True
        )
        for name in ("votes", "outputs"):
            if name in given and (given[name] != given[name][first[programs]]).any():
                raise _broken_rule(problem, name, "be the same for candidates of one program", "are not")
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


class _ArrayRule(NamedTuple):
    """Shape and values of an array.

    Attributes:
        axes: names of its axes, from ``_AXES``.
        low, high: bounds of its values.
        whole: True if its values are whole numbers.
    """

    axes: tuple[str, ...]
    low: float
    high: float
    whole: bool = True


_AXES = ("candidates", "tests", "inputs")
_LARGEST = 2**31 - 1
_ARRAY_RULES: Mapping[str, _ArrayRule] = {
    "votes": _ArrayRule(("candidates", "tests"), NOTHING, 1),
    "correct": _ArrayRule(("candidates",), 0, 1),
    "program": _ArrayRule(("candidates",), 0, _LARGEST),
    "outputs": _ArrayRule(("candidates", "inputs"), -_LARGEST, _LARGEST),
    "input_test": _ArrayRule(("inputs",), NOTHING, _LARGEST),
    "input": _ArrayRule(("inputs",), 0, _LARGEST),
    "tokens": _ArrayRule(("tests",), 0, _LARGEST),
    "gpu_seconds": _ArrayRule(("tests",), 0, math.inf, whole=False),
    "cpu_seconds": _ArrayRule(("candidates", "tests"), 0, math.inf, whole=False),
    "predicted_pass_rate": _ArrayRule((), 0, 1, whole=False),
}


def _sizes(problem: str, given: Mapping[str, NDArray[Any]]) -> dict[str, int]:
    votes, outputs = given["votes"], given.get("outputs")
    if votes.ndim != 2 or not len(votes):
        rule = "be candidates x tests, of at least one candidate,"
        raise _broken_rule(problem, "votes", rule, f"have the shape {votes.shape}")
    inputs = outputs.shape[1] if outputs is not None and outputs.ndim == 2 else 0
    return dict(zip(_AXES, (*votes.shape, inputs), strict=True))


def _check(problem: str, name: str, array: NDArray[Any], sizes: Mapping[str, int]) -> None:
    rule = _ARRAY_RULES[name]
    shape = tuple(sizes[axis] for axis in rule.axes)
    if array.shape != shape:
        axes = " x ".join(rule.axes) or "one number"
        raise _broken_rule(problem, name, f"be {axes}, shape {shape},", f"got the shape {array.shape}")
    if array.dtype.kind not in "biuf":
        raise _broken_rule(problem, name, "be numbers", f"got {array.dtype}")
    invalid = ~((array >= rule.low) & (array <= rule.high))  # so NaN is invalid too
    if rule.whole:
        invalid |= array != np.floor(array)
    if invalid.any():
        numbers = "whole numbers" if rule.whole else "numbers"
        rule_text = f"be {numbers} from {rule.low:g} to {rule.high:g}"
        raise _broken_rule(problem, name, rule_text, f"got {array[invalid].flat[0]}")


def _broken_rule(problem: str, name: str, rule: str, instead: str) -> UserError:
    return UserError(f"{name} of problem {problem} must {rule} but {instead}")


_Arrays = Mapping[str, NDArray[Any]]

_UNREADABLE = (
    OSError,
    EOFError,
    MemoryError,  # a header with too large a shape
    RuntimeError,  # an archive that is encrypted, or compressed by an unknown method
    zipfile.BadZipFile,
    zlib.error,
)
_BITS = ("votes", "run")
_MAX_SIZE = 2**24  # candidates, tests or inputs of one problem, so that products of two fit in int64


def read_votes(path: Path) -> Iterator[ImportedVotes]:
    """Votes of each problem of a file, in its order.

    Raises:
        UserError: the file cannot be read, or an array breaks the format.
    """
    try:
        # A pickle can run code, so arrays of objects are refused.
        with path.open("rb") as stream, np.lib.npyio.NpzFile(stream, allow_pickle=False) as file:
            for problem, given in _packed(file) if "ids" in file else _one_by_one(file):
                yield ImportedVotes.checked(problem, given)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    except ValueError:
        raise UserError(
            f"{path} must hold arrays of numbers and texts but one of them is damaged or holds objects"
        ) from None
    except _UNREADABLE as error:
        reason = " ".join(str(getattr(error, "strerror", None) or error).split())
        raise UserError(f"{path} must be a file as numpy.savez writes it but: {reason}") from None


def _one_by_one(file: _Arrays) -> Iterator[tuple[str, _Arrays]]:
    """Yield the id and the arrays of each problem of a file with separate arrays per problem."""
    problems: dict[str, list[str]] = {}
    for name in file:
        kind, _, problem = name.partition("/")
        if kind not in _ARRAY_RULES or not problem:
            known = ", ".join(f"{rule}/ID" for rule in _ARRAY_RULES)
            raise UserError(f"arrays must be named {known} but one is named '{name}'")
        problems.setdefault(problem, []).append(kind)
    if not problems:
        raise UserError("there must be at least one problem but there is none")
    for problem, kinds in problems.items():
        yield problem, {kind: file[f"{kind}/{problem}"] for kind in kinds}


def _packed(file: _Arrays) -> Iterator[tuple[str, _Arrays]]:
    """Arrays by problem of a file in which the arrays of all problems are concatenated."""
    known = ("ids", "offsets", "run", *_AXES, *_ARRAY_RULES)
    for name in file:
        if name not in known:
            raise UserError(f"beside ids, arrays may be {', '.join(known[1:])} but one is named '{name}'")
    ids = file["ids"]
    if ids.dtype.kind != "U" or ids.ndim != 1 or not len(ids) or len(set(ids)) < len(ids):
        raise UserError(
            f"ids must be texts, at least one and all different, but got {ids.dtype} {ids.shape}"
        )
    sizes = {axis: _axis_sizes(file, axis, len(ids)) for axis in _AXES}
    arrays = {name: file[name] for name in file if name in ("run", *_ARRAY_RULES)}
    begins = {name: _begins(name, array, sizes) for name, array in arrays.items()}
    if "votes" in arrays and not np.array_equal(file.get("offsets", ()), begins["votes"]):
        raise UserError(
            "offsets must say at which byte of votes each problem begins, and where the last one ends, "
            "but do not fit candidates and tests"
        )
    for position, problem in enumerate(ids.tolist()):
        given = {}
        for name, array in arrays.items():
            part = array[begins[name][position] : begins[name][position + 1]]
            shape = [int(sizes[axis][position]) for axis in _axes(name)]
            if name in _BITS:
                part = np.unpackbits(part, count=math.prod(shape)).astype(np.int8)
            given[name] = part.reshape(shape)
        yield problem, _with_pairs_not_run(problem, given)


def _axes(name: str) -> tuple[str, ...]:
    return _ARRAY_RULES["votes" if name == "run" else name].axes


def _axis_sizes(file: _Arrays, axis: str, problems: int) -> NDArray[np.int64]:
    """Number of candidates, tests or inputs of each problem."""
    if axis == "inputs" and axis not in file:
        return np.zeros(problems, np.int64)
    sizes = file.get(axis)
    if sizes is None:
        raise UserError(f"beside ids there must be candidates and tests but {axis} is missing")
    if (
        sizes.shape != (problems,)
        or sizes.dtype.kind not in "iu"
        or (sizes < 0).any()
        or (sizes > _MAX_SIZE).any()
    ):
        raise UserError(
            f"{axis} must be one whole number for each of {problems} problems, at most {_MAX_SIZE}, "
            f"but got {sizes.dtype} {sizes.shape}"
        )
    return sizes.astype(np.int64)


def _begins(name: str, array: NDArray[Any], sizes: Mapping[str, NDArray[np.int64]]) -> NDArray[np.int64]:
    """Position of each problem in a concatenated array, and the position of its end."""
    lengths = np.ones(len(sizes["tests"]), np.int64)
    for axis in _axes(name):
        lengths = lengths * sizes[axis]
    if name in _BITS:
        if array.dtype != np.uint8:
            raise UserError(f"{name} must be packed bits, uint8, but got {array.dtype}")
        lengths = (lengths + 7) // 8
    begins = np.concatenate([[0], np.cumsum(lengths)])
    if array.shape != (begins[-1],):
        entries = "bytes" if name in _BITS else "entries"
        raise UserError(
            f"{name} must have {begins[-1]} {entries}, those of all problems one after the other, but got "
            f"the shape {array.shape}"
        )
    return begins


def _with_pairs_not_run(problem: str, given: dict[str, NDArray[Any]]) -> _Arrays:
    run = given.pop("run", None)
    if run is not None and "votes" in given:
        if (given["votes"] > run).any():
            raise UserError(f"a pair that was not run must not be passed but one of problem {problem} is")
        given["votes"][run == 0] = NOTHING
    return given

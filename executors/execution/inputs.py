"""Mutated inputs: calls of a test with small changes to their arguments.

An input separates candidates whose outputs differ on it. It needs no expected output, so it costs no model
call. A correct candidate need not accept every mutated input. To make this likely, a changed value keeps
its type and is often a value that the tests use elsewhere.
"""

import copy
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from testbudget.executors.execution.output_digests import call_digest
from testbudget.executors.execution.runner import BlockVerdicts, Runner
from testbudget.executors.execution.stdin_calls import STDIN_CALL
from testbudget.rewards.comparison import DEFAULT_COMPARISON, Comparison
from testbudget.rewards.outputs import RecordedCall, join_outputs
from testbudget.rewards.problem import UnitTest

_ATTEMPTS = 10  # per requested input
_MAX_CHANGES = 2
_FROM_TESTS = 0.4  # probability that a change takes another value of the tests
_WHOLE_ARGUMENT = 0.4  # probability that a change replaces a whole argument
_LISTS = ("tuple", "set", "frozenset")  # tags of containers whose text is a list of values

_Place = tuple[list[Any], int]
_Pool = dict[str, list[Any]]


def mutated_inputs(
    inputs: Sequence[RecordedCall], count: int, rng: np.random.Generator
) -> list[RecordedCall]:
    """Draw new inputs, each with one or two changes to a known one.

    Args:
        inputs: calls of tests, in the notation of ``executors.execution.values``.
        count: number of inputs to draw. Fewer are returned if 10 attempts per input do not suffice.
        rng: source of the changes.

    Returns:
        Distinct inputs, none of them among ``inputs``, that belong to no test. Inputs of programs are not
        changed: few changes leave the form that a program reads.
    """
    texts = list(
        dict.fromkeys((given.function, given.arguments) for given in inputs if given.function != STDIN_CALL)
    )
    known = set(texts)
    calls = [(function, json.loads(arguments)) for function, arguments in texts]
    pool = _pool(arguments[0] for _, arguments in calls)
    found: list[RecordedCall] = []
    for attempt in range(_ATTEMPTS * count if calls else 0):
        if len(found) == count:
            break
        function, arguments = copy.deepcopy(calls[attempt % len(calls)])
        for _ in range(rng.integers(1, _MAX_CHANGES, endpoint=True)):
            _change(arguments[0], pool, rng)
        text = json.dumps(arguments, separators=(",", ":"))
        if (function, text) not in known:
            known.add((function, text))
            found.append(RecordedCall(None, function, text, call_digest(function, arguments)))
    return found


def _change(arguments: list[Any], pool: _Pool, rng: np.random.Generator) -> None:
    """Change one value in place."""
    places = list(_places(arguments))
    if not places:
        return
    whole = rng.random() < _WHOLE_ARGUMENT
    values, position = (
        (arguments, rng.integers(len(arguments))) if whole else places[rng.integers(len(places))]
    )
    value = values[position]
    others = [other for other in pool[_kind(value)] if other != value]
    if others and rng.random() < _FROM_TESTS:
        values[position] = copy.deepcopy(others[rng.integers(len(others))])
    else:
        values[position] = _mutated(value, rng)


def _places(values: list[Any]) -> Iterator[_Place]:
    """Yield the list and the position of each value, at any depth."""
    for position, value in enumerate(values):
        yield values, position
        yield from _places(_inner(value))


def _inner(value: Any) -> list[Any]:
    """Values of a container; none for a dictionary, whose items have keys."""
    if isinstance(value, list):
        return value
    if isinstance(value, dict):
        ((tag, inner),) = value.items()
        return inner if tag in _LISTS else []
    return []


def _pool(calls: Iterable[list[Any]]) -> _Pool:
    """Distinct values of all arguments, by kind."""
    pool: _Pool = {}
    for arguments in calls:
        for values, position in _places(arguments):
            of_kind = pool.setdefault(_kind(values[position]), [])
            if values[position] not in of_kind:
                of_kind.append(values[position])
    return pool


def _kind(value: Any) -> str:
    return next(iter(value)) if isinstance(value, dict) else type(value).__name__


def _mutated(value: Any, rng: np.random.Generator) -> Any:
    """Draw a similar value of the same type; return the value itself if its type has no mutation."""
    mutated = value
    match value:
        case bool():
            mutated = not value
        case int():
            mutated = (value + 1, value - 1, 2 * value, value // 2)[rng.integers(4)]
        case float():
            mutated = (value + 1, value - 0.5, 2 * value, value / 2)[rng.integers(4)]
        case str():
            mutated = "".join(_mutated_list(list(value), rng)) if rng.integers(4) else value.swapcase()
        case list():
            mutated = _mutated_list(value, rng)
        case {"tuple": values}:
            mutated = {"tuple": _mutated_list(values, rng)}
        case {"set": values} | {"frozenset": values} | {"dict": values} if values:
            left_out = rng.integers(len(values))
            mutated = {_kind(value): [kept for place, kept in enumerate(values) if place != left_out]}
    return mutated


def _mutated_list(values: list[Any], rng: np.random.Generator) -> list[Any]:
    """Remove, repeat or exchange values, or reverse the list."""
    if not values:
        return values
    one, other = rng.integers(len(values), size=2).tolist()
    changed = list(values)
    match rng.integers(4):
        case 0:
            del changed[one]
        case 1:
            changed.insert(other, copy.deepcopy(changed[one]))
        case 2:
            changed[one], changed[other] = changed[other], changed[one]
        case _:
            changed.reverse()
    return changed


def run_with_mutations(
    runner: Runner,
    candidates: Sequence[str],
    tests: Sequence[UnitTest],
    entry_point: str | None,
    count: int,
    *,
    comparison: Comparison = DEFAULT_COMPARISON,
    standing: NDArray[np.intp] | None = None,
    settle: bool = False,
) -> BlockVerdicts:
    """Run candidates on tests of one problem and on mutations of each test's inputs.

    The mutations of a test depend on its seed, its index and its calls. They do not depend on the other
    tests or on the number of candidates.

    Args:
        runner: runner of the tests and of the mutated inputs.
        candidates, tests, entry_point, comparison, standing, settle: as for ``Runner.run``.
        count: maximum number of mutated inputs per test. A test without calls has none.

    Returns:
        Verdicts on the tests. The calls on mutated inputs are among the recorded outputs, their CPU-seconds
        among those of the tests.

    Raises:
        SandboxError: as for ``Runner.run``.
    """
    verdicts = runner.run(
        candidates, tests, entry_point, comparison=comparison, standing=standing, settle=settle
    )
    assert verdicts.recorded_outputs is not None
    mutations = {test.index: _mutations(test, verdicts.recorded_outputs.inputs, count) for test in tests}
    inputs = [given for found in mutations.values() for given in found]
    if not inputs:
        return verdicts
    recorded, used = runner.call(candidates, inputs, comparison=comparison)
    owners = np.repeat([*mutations], [len(found) for found in mutations.values()])
    on_mutations = replace(
        recorded,
        inputs=tuple(
            replace(given, test=owner)
            for given, owner in zip(recorded.inputs, owners.tolist(), strict=True)
        ),
    )
    of_tests = [test.index for test in tests]
    cpu_seconds = np.stack([used[:, owners == index].sum(axis=1) for index in of_tests], axis=1)
    return replace(
        verdicts,
        cpu_seconds=verdicts.cpu_seconds + cpu_seconds,
        recorded_outputs=join_outputs([verdicts.recorded_outputs, on_mutations]),
        input_mutations=np.asarray([len(mutations[index]) for index in of_tests], np.int64),
    )


def _mutations(test: UnitTest, inputs: Sequence[RecordedCall], count: int) -> list[RecordedCall]:
    rng = np.random.default_rng([test.seed, test.index])
    return mutated_inputs([given for given in inputs if given.test == test.index], count, rng)

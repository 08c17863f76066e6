"""New inputs out of known ones: calls that tests make, with small changes to their arguments.

An input needs no expected value to tell apart candidates that behave differently on it, so it costs no
model anything. Nobody knows whether a right program has to accept it: what is changed keeps its type, and
values that the tests use elsewhere are taken as readily as invented ones.
"""

import copy
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from testbudget.executors.execution.output_digests import call_digest
from testbudget.executors.execution.runner import BlockVerdicts, Runner
from testbudget.rewards.outputs import RecordedCall, join_outputs
from testbudget.rewards.problem import UnitTest

_ATTEMPTS = 10  # at each input that is wanted
_MOST_CHANGES = 2
_TAKEN = 0.4  # share of changes that take another value from the tests
_WHOLE = 0.4  # share of changes to a whole argument
_LISTS = ("tuple", "set", "frozenset")  # tags of containers that are written as a list of their values

_Place = tuple[list[Any], int]
_Pool = dict[str, list[Any]]


def mutated_inputs(
    inputs: Sequence[RecordedCall], count: int, rng: np.random.Generator
) -> list[RecordedCall]:
    """Inputs that are none of those given: each is one of them with a change or two.

    Args:
        inputs: calls of tests, in the notation of ``executors.execution.values``.
        count: how many are wanted; there may be fewer where little can be changed.
        rng: draws the changes.

    Returns:
        Distinct inputs, of no test.
    """
    texts = list(dict.fromkeys((given.function, given.arguments) for given in inputs))
    known = set(texts)
    calls = [(function, json.loads(arguments)) for function, arguments in texts]
    pool = _pool(arguments[0] for _, arguments in calls)
    found: list[RecordedCall] = []
    for attempt in range(_ATTEMPTS * count if calls else 0):
        if len(found) == count:
            break
        function, arguments = copy.deepcopy(calls[attempt % len(calls)])
        for _ in range(rng.integers(1, _MOST_CHANGES, endpoint=True)):
            _change(arguments[0], pool, rng)
        text = json.dumps(arguments, separators=(",", ":"))
        if (function, text) not in known:
            known.add((function, text))
            found.append(RecordedCall(None, function, text, call_digest(function, arguments)))
    return found


def _change(arguments: list[Any], pool: _Pool, rng: np.random.Generator) -> None:
    """Changes one value, in place."""
    places = list(_places(arguments))
    if not places:
        return
    whole = rng.random() < _WHOLE
    values, position = (
        (arguments, rng.integers(len(arguments))) if whole else places[rng.integers(len(places))]
    )
    value = values[position]
    others = [other for other in pool[_kind(value)] if other != value]
    if others and rng.random() < _TAKEN:
        values[position] = copy.deepcopy(others[rng.integers(len(others))])
    else:
        values[position] = _varied(value, rng)


def _places(values: list[Any]) -> Iterator[_Place]:
    """Where there are values in a list of values, and in these."""
    for position, value in enumerate(values):
        yield values, position
        yield from _places(_inner(value))


def _inner(value: Any) -> list[Any]:
    """The values in a container; the keys of a dictionary are not among them."""
    if isinstance(value, list):
        return value
    if isinstance(value, dict):
        ((tag, inner),) = value.items()
        return inner if tag in _LISTS else []
    return []


def _pool(calls: Iterable[list[Any]]) -> _Pool:
    """All values in some arguments, by kind."""
    pool: _Pool = {}
    for arguments in calls:
        for values, position in _places(arguments):
            of_kind = pool.setdefault(_kind(values[position]), [])
            if values[position] not in of_kind:
                of_kind.append(values[position])
    return pool


def _kind(value: Any) -> str:
    return next(iter(value)) if isinstance(value, dict) else type(value).__name__


def _varied(value: Any, rng: np.random.Generator) -> Any:
    """A value of the same type near by; the same where there is none that is plain."""
    varied = value
    match value:
        case bool():
            varied = not value
        case int():
            varied = (value + 1, value - 1, 2 * value, value // 2)[rng.integers(4)]
        case float():
            varied = (value + 1, value - 0.5, 2 * value, value / 2)[rng.integers(4)]
        case str():
            varied = "".join(_varied_list(list(value), rng)) if rng.integers(4) else value.swapcase()
        case list():
            varied = _varied_list(value, rng)
        case {"tuple": values}:
            varied = {"tuple": _varied_list(values, rng)}
        case {"set": values} | {"frozenset": values} | {"dict": values} if values:
            left_out = rng.integers(len(values))
            varied = {_kind(value): [kept for place, kept in enumerate(values) if place != left_out]}
    return varied


def _varied_list(values: list[Any], rng: np.random.Generator) -> list[Any]:
    """One value less, one again, two exchanged, or all the other way round."""
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


# ~ """Running tests, and with them further inputs: variations of those that the tests use.
# ~
# ~ What candidates do on an input groups them without anybody knowing what the right output is.
# ~ """


def run_with_mutations(
    runner: Runner,
    candidates: Sequence[str],
    tests: Sequence[UnitTest],
    entry_point: str | None,
    count: int,
) -> BlockVerdicts:
    """Run candidates on tests of one problem, and each on variations of the inputs that a test uses.

    Which variations there are follows from the tests alone: neither their number nor their order, nor the
    candidates, make a difference to those of one test.

    Args:
        runner: runs both.
        candidates, tests, entry_point: as for :meth:`Runner.run`.
        count: variations for each test, at most; there are none of a test that makes no calls.

    Raises:
        SandboxError: as :meth:`Runner.run`.
    """
    outcomes = runner.run(candidates, tests, entry_point)
    assert outcomes.recorded_outputs is not None
    varied = {test.index: _variations(test, outcomes.recorded_outputs.inputs, count) for test in tests}
    inputs = [given for found in varied.values() for given in found]
    if not inputs:
        return outcomes
    done, used = runner.call(candidates, inputs)
    owners = np.repeat([*varied], [len(found) for found in varied.values()])
    alone = replace(
        done,
        inputs=tuple(
            replace(given, test=owner) for given, owner in zip(done.inputs, owners.tolist(), strict=True)
        ),
    )
    of_tests = [test.index for test in tests]
    cpu_seconds = np.stack([used[:, owners == index].sum(axis=1) for index in of_tests], axis=1)
    return replace(
        outcomes,
        cpu_seconds=outcomes.cpu_seconds + cpu_seconds,
        recorded_outputs=join_outputs([outcomes.recorded_outputs, alone]),
        input_mutations=np.asarray([len(varied[index]) for index in of_tests], np.int64),
    )


def _variations(test: UnitTest, inputs: Sequence[RecordedCall], count: int) -> list[RecordedCall]:
    rng = np.random.default_rng([test.seed, test.index])
    return mutated_inputs([given for given in inputs if given.test == test.index], count, rng)

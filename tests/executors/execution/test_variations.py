import json

import numpy as np
import pytest

from testbudget.executors.execution.inputs import mutated_inputs
from testbudget.executors.execution.output_digests import call_digest
from testbudget.executors.execution.values import decode, encode
from testbudget.rewards.outputs import RecordedCall


def call(*arguments, function="solve", test=0):
    text = encode([list(arguments), {}])
    return RecordedCall(test, function, text, call_digest(function, json.loads(text)))


def values(given):
    positional, named = decode(given.arguments)
    assert named == {}
    return positional


def rng(seed=0):
    return np.random.default_rng(seed)


PLAIN = [
    3,
    -7,
    2.5,
    "word",
    "",
    True,
    None,
    [3, 1, 2],
    [],
    (1, "a"),
    {"k": 1, "l": [2]},
    {4, 5},
    [[1], [2, 3]],
]


@pytest.mark.parametrize("value", PLAIN, ids=repr)
def test_a_changed_argument_keeps_its_type(value):
    for given in mutated_inputs([call(value)], 20, rng()):
        (changed,) = values(given)
        assert type(changed) is type(value)


def test_they_are_as_many_as_wanted_and_all_new():
    known = [call([1, 2, 3], "abc"), call([4], "x", test=1)]
    found = mutated_inputs(known, 25, rng())
    texts = [given.arguments for given in found]
    assert len(texts) == 25
    assert not set(texts) & {given.arguments for given in known}
    assert len(set(texts)) == 25


def test_they_belong_to_no_test_and_keep_the_number_of_arguments():
    for given in mutated_inputs([call([1, 2], 3, function="pick")], 10, rng()):
        assert given.test is None
        assert given.function == "pick"
        assert len(values(given)) == 2


def test_equal_calls_have_equal_digests():
    (one,) = mutated_inputs([call(True)], 1, rng())
    assert values(one) == [False]
    assert one.digest == call(0).digest


def test_values_of_other_calls_are_taken():
    found = mutated_inputs([call(1), call(1_000_003)], 50, rng())
    mixed = mutated_inputs([call(1, "a"), call(1_000_003, "b")], 50, rng())
    assert all(given.arguments not in (call(1).arguments, call(1_000_003).arguments) for given in found)
    assert [1, "b"] in map(values, mixed)


def test_the_same_draws_give_the_same_inputs():
    known = [call({"a": [1, 2]}, "text")]
    assert mutated_inputs(known, 10, rng(4)) == mutated_inputs(known, 10, rng(4))
    assert mutated_inputs(known, 10, rng(4)) != mutated_inputs(known, 10, rng(5))


@pytest.mark.parametrize(
    "known", [[], [call()], [call(None)]], ids=["no call", "no argument", "nothing to change"]
)
def test_where_nothing_can_be_changed_there_are_none(known):
    assert mutated_inputs(known, 5, rng()) == []


def test_known_inputs_are_left_as_they_are():
    known = [call([1, [2, 3]], {"k": [4]})]
    before = [given.arguments for given in known]
    mutated_inputs(known, 20, rng())
    assert [given.arguments for given in known] == before

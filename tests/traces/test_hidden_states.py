import re
from dataclasses import replace

import numpy as np
import pytest

from testbudget.rewards.errors import UserError
from testbudget.traces.hidden_states import HiddenStates, Provenance, default_layers, usual_layer

PROVENANCE = Provenance("models/größe", "ab" * 32, 24, "transformers", "bfloat16")


def test_default_layers_are_half_way_three_quarters_and_final():
    assert default_layers(24) == (12, 18, 24)
    assert default_layers(61) == (30, 45, 61)
    assert default_layers(1) == (0, 1)


def test_problems_and_layers_are_selected_in_the_given_order():
    states = np.arange(3 * 2 * 4, dtype=np.float16).reshape(3, 2, 4)
    hidden = HiddenStates((12, 24), states, np.array([True, False, False]), PROVENANCE)
    some = hidden.of_problems([2, 0]).of_layers([24])
    np.testing.assert_array_equal(some.states, states[[2, 0], 1:])
    assert some.layers == (24,)
    assert some.truncated.tolist() == [False, True]
    assert some.provenance is PROVENANCE
    assert len(some) == 2
    assert hidden.of_layers([24, 12]).layers == (24, 12)
    with pytest.raises(UserError, match="hidden layers 12, 13 must be there but only 12, 24 are"):
        hidden.of_layers([12, 13])


def test_provenance_survives_being_stored():
    assert Provenance.from_json(PROVENANCE.to_json()) == PROVENANCE


def test_the_same_model_under_another_name_and_engine_gives_the_same_states():
    other = replace(PROVENANCE, model="elsewhere", engine="vllm", dtype="float32")
    assert PROVENANCE.conflict(other) is None


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("fingerprint", "cd" * 32, r"models/größe \(fingerprint abababababab\).*\(cdcdcdcdcdcd\)"),
        ("final_norm", False, "final_norm True is not final_norm False"),
        ("position", "mean", "position last_prompt is not position mean"),
        ("prompt", "chat", "prompt bare is not prompt chat"),
        ("depth", 12, "depth 24 is not depth 12"),
    ],
)
def test_differences_that_make_states_incomparable_are_named(field, value, reason):
    assert re.search(reason, PROVENANCE.conflict(replace(PROVENANCE, **{field: value})))


def test_the_usual_layer_is_the_nearest_to_three_quarters_of_the_depth():
    assert usual_layer((12, 18, 24), depth=24) == 18
    assert usual_layer((0, 32), depth=32) == 32

import json

import numpy as np
import pytest

from testbudget.policies.gain_model import DifficultyBins, GainModel, GainModels
from testbudget.rewards.errors import UserError


def fields_of(gain_model: GainModel) -> dict:
    return json.loads(gain_model.to_json())


@pytest.mark.parametrize("arguments", [{"most": 3}, {"bins": False}, {"weight": -0.25}])
def test_a_lesson_is_read_as_it_was_written(gain_model, arguments):
    written = gain_model(**arguments)
    read = GainModel.from_json(written.to_json())
    assert fields_of(read) == fields_of(written)
    assert read.weights.dtype == np.float64
    assert read.counts.dtype == np.intp


@pytest.mark.parametrize("change", [{"accuracy": "high"}, {"most": "few"}, {"bins": {"edges": [0.5]}}])
def test_what_is_no_lesson_is_refused(gain_model, change):
    with pytest.raises(UserError, match="a lesson must be JSON"):
        GainModel.from_json(json.dumps({**fields_of(gain_model()), **change}))


@pytest.mark.parametrize("text", ["", "[]", "{}", "7"])
def test_other_texts_are_refused(text):
    with pytest.raises(UserError, match="a lesson must be JSON"):
        GainModel.from_json(text)


def test_a_usual_doubt_promises_the_usual_and_a_greater_one_more_by_the_weight():
    taught = GainModel(
        "majority",
        np.array([0.2, 0.5]),
        None,
        np.array([1, 3]),
        np.array([0.4, 0.2]),
        np.array([1.0, 2.0]),
    )
    tests = np.array([1, 1, 3, 3, 2, 9])
    p_wrong = np.array([0.4, 0.8, 0.2, 0.4, 0.6, 0.1])
    np.testing.assert_allclose(taught.multiplier(tests, p_wrong), [1.0, 2.0, 1.0, 3.0, 2.5, 0.0])


def test_where_nobody_ever_doubted_nothing_is_promised_but_the_usual():
    taught = GainModel("majority", np.ones(2), None, np.array([1]), np.zeros(1), np.zeros(1))
    np.testing.assert_array_equal(taught.multiplier(np.array([1]), np.array([0.5])), [1.0])


def test_a_pass_rate_on_an_edge_belongs_to_the_bin_above():
    bins = DifficultyBins(np.array([0.2, 0.6]), np.zeros((3, 2)))
    np.testing.assert_array_equal(bins.of(np.array([0.0, 0.2, 0.59, 0.6, 1.0])), [0, 1, 1, 2, 2])


def test_a_shared_lesson_is_that_of_every_problem(gain_model):
    gain_models = GainModels.shared(gain_model(), 3)
    np.testing.assert_array_equal(gain_models.gain_model_of, [0, 0, 0])

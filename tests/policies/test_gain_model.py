import json
from dataclasses import astuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbudget.policies.gain_model import DifficultyBins, GainModel, GainModelAssignment
from testbudget.rewards.errors import UserError


def test_a_pass_rate_on_an_edge_belongs_to_the_bin_above():
    bins = DifficultyBins(np.array([0.2, 0.6]), np.zeros((3, 2)))
    np.testing.assert_array_equal(bins.bin_of(np.array([0.0, 0.2, 0.59, 0.6, 1.0])), [0, 1, 1, 2, 2])


def test_a_shared_gain_model_is_that_of_every_problem(gain_model):
    gain_models = GainModelAssignment.shared(gain_model(), 3)
    np.testing.assert_array_equal(gain_models.gain_model_of, [0, 0, 0])


FINITE = st.floats(allow_nan=False, allow_infinity=False)


def rows(length, numbers=FINITE):
    return st.lists(numbers, min_size=length, max_size=length).map(lambda row: np.array(row, np.float64))


@st.composite
def assignments(draw):
    def model():
        edges = np.array(draw(st.lists(st.floats(0, 1), max_size=3, unique=True).map(sorted)))
        curves = np.stack([draw(rows(3)) for _ in range(len(edges) + 1)])
        return GainModel(
            draw(st.text(max_size=9)),
            draw(rows(5)),
            DifficultyBins(edges, curves) if draw(st.booleans()) else None,
        )

    models = tuple(model() for _ in range(draw(st.integers(1, 3))))
    positions = draw(st.lists(st.integers(0, len(models) - 1), min_size=1, max_size=6))
    return GainModelAssignment(models, np.array(positions, np.intp))


@given(assignments())
def test_gain_models_are_read_from_json_as_they_were_written(written):
    read = GainModelAssignment.from_json(written.to_json())
    np.testing.assert_array_equal(read.gain_model_of, written.gain_model_of)
    assert read.gain_model_of.dtype == np.intp
    for one, other in zip(read.gain_models, written.gain_models, strict=True):
        assert (one.bins is None) == (other.bins is None)
        for found, expected in zip(flat(one), flat(other), strict=True):
            np.testing.assert_array_equal(found, expected)
            assert getattr(found, "dtype", None) == getattr(expected, "dtype", None)
    assert read.to_json() == written.to_json()


def flat(model):
    *fields, bins = astuple(model)
    return [*fields, *(bins or ())]


def document_with(gain_model, change):
    document = json.loads(GainModelAssignment.shared(gain_model(), 2).to_json())
    change(document, document["gain_models"][0])
    return json.dumps(document)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda all_, one: all_.update(version=1), "version must be 2 but is 1: fit them anew"),
        (lambda all_, one: all_.pop("version"), "version is required"),
        (lambda all_, one: all_.update(gain_models=[]), "at least one model"),
        (lambda all_, one: all_.update(gain_models=["x"]), "bins is required"),
        (lambda all_, one: all_.update(gain_model_of=[0, 1]), "must be positions of 1 gain models"),
        (lambda all_, one: all_.update(gain_model_of=[0, -1]), "must be positions of 1 gain models"),
        (lambda all_, one: all_.update(gain_model_of=[0.5, 0]), "gain_model_of must hold whole numbers"),
        (lambda all_, one: one.update(selection=3), "selection must be a text but is 3"),
        (lambda all_, one: one.update(accuracy=["a"]), "accuracy must hold finite numbers in 1 dimension"),
        (lambda all_, one: one.update(accuracy=None), "accuracy must hold finite numbers"),
        (lambda all_, one: one.update(accuracy=[float("nan")]), "accuracy must hold finite numbers"),
        (lambda all_, one: one["bins"].pop("edges"), "edges is required"),
        (lambda all_, one: one["bins"].update(edges=[]), "one fewer than curves"),
        (lambda all_, one: one["bins"].update(accuracy=[[0.5], [0.5, 0.6]]), "in 2 dimensions but is"),
    ],
)
def test_another_document_is_refused(gain_model, change, message):
    with pytest.raises(UserError, match=f"gain models: .*{message}"):
        GainModelAssignment.from_json(document_with(gain_model, change))


@pytest.mark.parametrize("text", ["", "{", b"\xff\xfe\x00", "[1]", "null", "3"])
def test_a_text_that_is_no_document_is_refused(text):
    with pytest.raises(UserError, match="gain models"):
        GainModelAssignment.from_json(text)

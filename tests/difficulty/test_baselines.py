import numpy as np
import pytest
from scipy.stats import spearmanr

from testbudget.difficulty.base import PredictorInputs
from testbudget.difficulty.baselines import ConstantMethod, NeighboursMethod, TextMethod
from testbudget.rewards.errors import UserError


def test_the_constant_prediction_is_the_share_of_correct_samples():
    inputs = PredictorInputs(np.zeros((2, 0), np.float32))
    fitted = ConstantMethod().fit(inputs, np.array([0.0, 1.0]), np.array([30.0, 10.0]), seed=0)
    np.testing.assert_allclose(
        fitted.predict(PredictorInputs(np.zeros((3, 0), np.float32))).mean, [0.25] * 3
    )


def test_neighbours_are_found_by_the_direction_of_their_states():
    random = np.random.default_rng(0)
    directions = np.repeat([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]], 20, axis=0)
    states = directions * random.uniform(1, 5, size=(60, 1)) + 0.05 * random.normal(size=(60, 2))
    values = np.repeat([0.2, 0.5, 0.8], 20)
    fitted = NeighboursMethod(count=5).fit(
        PredictorInputs(states.astype(np.float32)), values, np.full(60, 50.0), seed=0
    )
    new = np.array([[9.0, 0.1], [0.1, 9.0], [-9.0, -9.0]], np.float32)
    np.testing.assert_allclose(fitted.predict(PredictorInputs(new)).mean, [0.2, 0.5, 0.8], atol=0.05)


def test_all_problems_are_neighbours_if_there_are_fewer_than_requested():
    inputs = PredictorInputs(np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32))
    fitted = NeighboursMethod(count=15).fit(inputs, np.array([0.2, 0.4, 0.6, 0.8]), np.full(4, 9.0), seed=0)
    assert fitted.predict(inputs).mean == pytest.approx(0.5, abs=0.1)


def inputs(texts):
    return PredictorInputs(np.zeros((len(texts), 0), np.float32), texts)


@pytest.mark.parametrize(
    "text_of_level",
    [
        lambda level: "word " * (level + 1),
        lambda level: "line\n" * (level + 1),
        lambda level: "text" + " >>> f(1)" * level,
        lambda level: "sort a list" if level > 5 else "draw a graph",
        lambda level: "!" * (level + 1),
    ],
    ids=["characters", "lines", "examples", "words", "no word at all"],
)
def test_length_examples_and_words_of_texts_are_used(text_of_level):
    levels = np.random.default_rng(0).integers(0, 12, size=120)
    values = (levels > 5) * 0.8 + 0.1
    texts = [text_of_level(level) for level in levels]
    fitted = TextMethod().fit(inputs(texts[:80]), values[:80], np.full(80, 10.0), seed=0)
    assert spearmanr(fitted.predict(inputs(texts[80:])).mean, values[80:]).statistic > 0.8


@pytest.mark.filterwarnings("error")
def test_words_common_to_all_texts_do_not_disturb_the_fit():
    values = np.tile([0.2, 0.8], 20)
    texts = ["sort a list" + "\n" * round(10 * value) for value in values]
    fitted = TextMethod().fit(inputs(texts), values, np.full(40, 10.0), seed=0)
    assert spearmanr(fitted.predict(inputs(texts)).mean, values).statistic > 0.8


def test_problems_without_texts_are_refused():
    without_texts = PredictorInputs(np.zeros((30, 2), np.float32))
    with pytest.raises(UserError, match="'text' must have the problems' texts"):
        TextMethod().fit(without_texts, np.full(30, 0.5), np.ones(30), seed=0)

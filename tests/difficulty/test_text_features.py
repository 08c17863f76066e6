import numpy as np
import pytest
from scipy.stats import spearmanr

from testbudget.difficulty.base import PredictorInputs
from testbudget.difficulty.baselines import TextMethod
from testbudget.rewards.errors import UserError


def inputs(texts):
    return PredictorInputs(np.zeros((len(texts), 0), np.float32), texts)


@pytest.mark.parametrize(
    "write",
    [
        lambda level: "word " * (level + 1),
        lambda level: "line\n" * (level + 1),
        lambda level: "text" + " >>> f(1)" * level,
        lambda level: "sort a list" if level > 5 else "draw a graph",
        lambda level: "!" * (level + 1),
    ],
    ids=["characters", "lines", "examples", "words", "no word at all"],
)
def test_length_examples_and_words_are_used(write):
    levels = np.random.default_rng(0).integers(0, 12, size=120)
    values = (levels > 5) * 0.8 + 0.1
    texts = [write(level) for level in levels]
    fitted = TextMethod().fit(inputs(texts[:80]), values[:80], np.full(80, 10.0), seed=0)
    assert spearmanr(fitted.predict(inputs(texts[80:])).mean, values[80:]).statistic > 0.8


@pytest.mark.filterwarnings("error")
def test_words_that_all_texts_share_tell_nothing():
    values = np.tile([0.2, 0.8], 20)
    texts = ["sort a list" + "\n" * round(10 * value) for value in values]
    fitted = TextMethod().fit(inputs(texts), values, np.full(40, 10.0), seed=0)
    assert spearmanr(fitted.predict(inputs(texts)).mean, values).statistic > 0.8


def test_problems_without_texts_are_refused():
    nothing = PredictorInputs(np.zeros((30, 2), np.float32))
    with pytest.raises(UserError, match="'text' must have the problems' texts"):
        TextMethod().fit(nothing, np.full(30, 0.5), np.ones(30), seed=0)

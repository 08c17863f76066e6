"""p_change: features by their formulas, the change itself, and the model's text."""

import math

import numpy as np
import pytest

from testbudget.rewards.confidence.change import (
    CHANGE_FEATURES,
    ChangeModel,
    change_features_by,
    change_of_picks,
    default_change_model,
    horizon,
)
from testbudget.rewards.outputs import Evidence, OutputMatrix
from testbudget.rewards.prefix_statistics import PrefixStatistics
from testbudget.rewards.selection.calibrated import Calibrated
from testbudget.rewards.votes import Votes

RULE = Calibrated()


def statistics_of(passed, results=None, counts=None):
    votes = Votes.from_matrix(np.array([[c == "x" for c in row] for row in passed]))
    outputs = None
    if results is not None:
        numbers = np.array([[ord(c) for c in row] for row in results], np.int32)
        outputs = OutputMatrix(numbers, numbers != ord("!"), np.arange(len(passed) + 1))
    return PrefixStatistics(Evidence(votes, outputs), range(len(passed) + 1) if counts is None else counts)


def test_a_horizon_is_a_quarter_of_the_tests_and_at_least_one():
    assert [horizon(tests) for tests in (0, 1, 4, 5, 8, 9, 20)] == [1, 1, 1, 2, 2, 3, 5]


def test_features_are_those_of_their_formulas():
    statistics = statistics_of(["xx.", "xx.", "..."], ["aab"] * 3, [3])
    winners = RULE.winners_by(statistics)
    found = dict(zip(CHANGE_FEATURES, change_features_by(statistics, winners)[0], strict=True))
    scores = RULE.scores(statistics)[0]
    lead = scores[0] - scores[2]
    assert found["lead"] == pytest.approx(min(lead, 6))
    assert found["exp of the negative lead"] == pytest.approx(math.exp(-min(lead, 10)))
    assert found["number of tests"] == pytest.approx(math.log(4))
    assert found["share of the tests that are passable"] == pytest.approx(2 / 3)
    assert found["share of the passable tests passed"] == pytest.approx(1)
    assert found["agreement with the pick"] == pytest.approx(math.log(2 / 3))


def test_before_the_first_test_nothing_is_known_but_the_lead():
    statistics = statistics_of(["x."], None, [0])
    features = change_features_by(statistics, RULE.winners_by(statistics))[0]
    assert np.isnan(features[3:]).all()
    assert features[1] == 6  # all candidates win, so there is no other
    assert 0 < default_change_model().p_change(statistics, RULE.winners_by(statistics))[0] < 1


def test_a_pick_that_another_rule_makes_has_a_lead_of_zero_if_the_default_rule_prefers_another():
    statistics = statistics_of(["xx.", "xx."], ["aab"] * 2, [2])
    features = change_features_by(statistics, np.array([[False, False, True]]))[0]
    assert features[:2].tolist() == [1, 0]


def test_a_narrow_lead_is_likelier_to_change_than_a_wide_one():
    narrow = statistics_of(["x.", ".x", "x."], ["ab"] * 3, [3])
    wide = statistics_of(["xx.", "xx.", "xx."], ["aab"] * 3, [3])
    of_narrow, of_wide = (
        default_change_model().p_change(one, RULE.winners_by(one))[0] for one in (narrow, wide)
    )
    assert of_narrow > of_wide


def test_columns_that_stand_for_several_candidates_give_the_features_of_each_alone():
    passed, results = ["xxx.", "xxx.", "...x"], ["aaab"] * 3
    statistics = statistics_of(passed, results, [1, 3])
    won = RULE.winners_by(statistics)
    np.testing.assert_allclose(
        change_features_by(statistics, won), change_features_by(statistics, won.astype(np.int64))
    )


def test_the_change_is_the_part_of_the_later_pick_that_is_in_no_earlier_group():
    groups = np.array([0, 0, 1, 2])
    winners = np.array(
        [
            [True, True, True, True],  # shares 1/2, 1/4, 1/4
            [True, True, False, False],  # 1, 0, 0
            [False, False, True, False],  # 0, 1, 0
        ]
    )
    assert change_of_picks(groups, winners, [0, 1, 2]).tolist() == [0.5, 1, 0]


def test_a_model_comes_back_from_its_text_and_other_texts_are_refused():
    model = default_change_model()
    again = ChangeModel.of_json(model.as_json(seed=3))
    assert again.source == model.source
    np.testing.assert_allclose(again.model.weights, model.model.weights, rtol=1e-5)
    for text in (
        "",
        "{}",
        "[1]",
        '{"version": 2}',
        model.as_json().replace('"version": 1', '"version": 0'),
    ):
        with pytest.raises(ValueError, match=r"."):
            ChangeModel.of_json(text)
    short = '{"version": 1, "source": "x", "intercept, means, weights": [0, 1, 2]}'
    with pytest.raises(ValueError, match="7 means and as many weights"):
        ChangeModel.of_json(short)

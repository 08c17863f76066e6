import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import beta
from sklearn.metrics import roc_auc_score

from testbudget.rewards.outputs import Evidence
from testbudget.rewards.selection.registry import selection_rule
from testbudget.rewards.selection.weighted import Bayesian, LeaveOneOut
from testbudget.rewards.votes import Votes

MATRICES = st.tuples(st.integers(1, 5), st.integers(1, 8)).flatmap(lambda shape: arrays(np.bool_, shape))


def matrix(rows):
    return np.array([[c == "x" for c in row] for row in rows])


def winners(name, rows):
    return selection_rule(name).winners(Evidence(Votes.from_matrix(matrix(rows)))).tolist()


@given(MATRICES)
def test_the_bayesian_score_is_the_product_of_four_beta_functions(passed):
    scores = Bayesian().weigh(passed)
    for candidate, score in enumerate(scores):
        equal = (passed == passed[:, [candidate]]).all(axis=0)
        correct = passed[:, candidate]
        on_correct, on_wrong = passed[correct][:, ~equal], passed[~correct][:, ~equal]
        expected = [
            beta(equal.sum() + 10, (~equal).sum() + 1),
            beta(correct.sum() + 10, (~correct).sum() + 1),
            beta(on_correct.sum() + 1, (~on_correct).sum() + 1),
            beta(on_wrong.sum() + 1, (~on_wrong).sum() + 1e6),
        ]
        np.testing.assert_allclose(score, np.log(expected).sum())


@given(MATRICES)
def test_tests_are_weighted_by_the_area_under_the_curve_of_the_other_tests(passed):
    weights = []
    for test, row in enumerate(passed):
        share = row.mean()
        if row.all() or not row.any():
            weights.append(0.0)
            continue
        area = roc_auc_score(row, np.delete(passed, test, axis=0).sum(axis=0))
        weights.append(max(share * (1 - share) * (area - 0.5), 0.0))
    total = sum(weights)
    weighted = weights @ passed / total if total > 1e-9 else np.zeros(passed.shape[1])
    expected = weighted + 1e-6 * passed.sum(axis=0)
    np.testing.assert_allclose(LeaveOneOut().weigh(passed), expected, atol=1e-12)


def test_a_test_that_contradicts_the_others_counts_against_candidates_that_pass_it():
    votes = ["xxx..."] * 4 + [".x.xxx"]
    assert winners("majority", votes) == [1]
    assert winners("dawid-skene", votes) == [0, 2]


def test_tests_that_disagree_with_the_others_have_no_weight():
    votes = ["xxx....."] * 3 + ["...xx...", "...x.x..", "...x..x.", "...x...x"]
    assert winners("majority", votes) == [3]
    assert winners("leave-one-out", votes) == [0, 1, 2]


def test_a_single_test_counts_as_a_vote():
    assert winners("leave-one-out", ["x.x"]) == winners("dawid-skene", ["x.x"]) == [0, 2]

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies import Adaptive, Lessons, Uniform
from policies.adaptive import _STOPS
from rewards.votes import Votes

DECIDED = np.array([[1, 0, 0, 0]], bool)  # one leads by every test
BARREN = np.zeros((1, 4), bool)  # nobody passes anything


def adaptive(lesson, problems=4, *, seed=0, max_tests=99, **arguments):
    return Adaptive(problems, Lessons.shared(lesson(**arguments), problems), seed=seed, max_tests=max_tests)


def spend(policy, cap, votes):
    """As the loop does; ``votes`` are those of each problem's single tests."""
    rounds = 0
    while grants := policy.ask(cap):
        rounds += 1
        cap -= sum(grant.tests for grant in grants)
        for grant in grants:
            tests = int(policy.granted[grant.problem])
            policy.tell(grant.problem, Votes.from_matrix(np.repeat(votes[grant.problem], tests, axis=0)))
    return policy.granted, rounds


@given(st.integers(0, 120), st.integers(0, 5), st.lists(st.integers(0, 40), min_size=4, max_size=4))
def test_where_nothing_was_learned_budgets_are_those_of_equal_budgets(lesson, room, seed, most):
    equal = Uniform(4, seed=seed, max_tests=np.array(most))
    equal.ask(room)
    policy = adaptive(lesson, seed=seed, max_tests=np.array(most))
    granted, _ = spend(policy, room, [DECIDED, BARREN, DECIDED, BARREN])
    np.testing.assert_array_equal(granted, equal.granted)


def test_problems_whose_votes_promise_more_get_more(lesson):
    granted, _ = spend(adaptive(lesson, weights=(1.0, 0.5)), 40, [DECIDED, BARREN, DECIDED, BARREN])
    assert granted.sum() == 40
    assert granted[[1, 3]].min() > 2 * granted[[0, 2]].max()


def test_nobody_starves_however_little_its_votes_promise(lesson):
    granted, _ = spend(adaptive(lesson, weights=(50.0, 50.0)), 400, [DECIDED, BARREN, BARREN, BARREN])
    # f lies within [0.05, 5], so tests and one differ by (5 / 0.05)^(2/3) at most, or by one test.
    assert granted[0] + 2 > (granted[1:].max() + 1) / 100 ** (2 / 3)
    assert granted[0] >= 4


def test_it_hears_the_votes_before_most_is_spent(lesson):
    policy = adaptive(lesson, weights=(1.0, 0.0))
    shares = []
    while grants := policy.ask(200 - int(policy.granted.sum())):
        shares.append(sum(grant.tests for grant in grants) / 200)
        for grant in grants:
            before = policy.granted[grant.problem] - grant.tests
            assert grant.tests <= np.min(_STOPS[before < _STOPS]) - before
    assert max(shares) < 0.5
    assert len(shares) <= 12


def test_rounds_grow_slowly_beyond_the_last_stop(lesson):
    _, rounds = spend(adaptive(lesson, max_tests=10_000), 40_000, [DECIDED] * 4)
    assert rounds <= 30


def test_it_stops_where_accuracy_fell(lesson):
    granted, _ = spend(adaptive(lesson, most=5), 100, [DECIDED, BARREN, DECIDED, BARREN])
    np.testing.assert_array_equal(granted, [5, 5, 5, 5])


def test_each_problem_goes_by_its_own_lesson(lesson):
    lessons = Lessons((lesson(most=2), lesson(weights=(1.0, 0.0))), np.array([0, 1, 1]))
    granted, _ = spend(Adaptive(3, lessons, max_tests=99), 32, [BARREN, DECIDED, BARREN])
    assert granted[0] == 2
    assert granted[1] < granted[2]


def test_a_test_at_twice_the_price_must_promise_twice_as_much(lesson):
    lessons = Lessons.shared(lesson(), 2)
    policy = Adaptive(2, lessons, max_tests=99, prices=np.array([1.0, 8.0]))
    granted, _ = spend(policy, 50, [DECIDED, DECIDED])
    # 8 = 4^(3/2): a quarter as many.
    np.testing.assert_allclose(granted, [40, 10], atol=1)


def test_the_gain_expected_is_the_mean_rise_times_what_the_votes_promise(lesson):
    policy = adaptive(lesson, 1, weights=(1.0, 0.0), accuracy=[0.0, 0.4, 0.6, 0.7])
    (first,) = policy.ask(1)
    assert first.expected_gain == pytest.approx(0.4)
    policy.tell(0, Votes.from_matrix(DECIDED))
    (second,) = policy.ask(1)
    flip = 0.24
    assert second.expected_gain == pytest.approx(0.2 * flip / 0.5, rel=0.01)


def test_the_order_in_which_problems_are_told_does_not_matter(lesson):
    forth, back = (adaptive(lesson, weights=(1.0, 0.0)) for _ in range(2))
    told = list(zip(range(4), [DECIDED, BARREN, BARREN, DECIDED], strict=True))
    for policy, order in ((forth, told), (back, told[::-1])):
        policy.ask(4)
        for problem, votes in order:
            policy.tell(problem, Votes.from_matrix(votes))
    assert forth.ask(30) == back.ask(30)


def test_votes_are_heard_however_many_problems_are_told(lesson):
    problems = 10_000
    policy = adaptive(lesson, problems, weights=(1.0, 0.0))
    policy.ask(problems)
    decided, barren = Votes.from_matrix(DECIDED), Votes.from_matrix(BARREN)
    for problem in range(problems):
        policy.tell(problem, barren if problem % 2 else decided)
    favoured = {grant.problem % 2 for grant in policy.ask(problems // 2)}
    assert favoured == {1}


def test_lessons_must_be_of_these_problems(lesson):
    with pytest.raises(ValueError, match="one number for each of 3 problems"):
        Adaptive(3, Lessons.shared(lesson(), 2), max_tests=9)

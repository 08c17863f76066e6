"""Conformance suite of policies: the behaviour that the scheduler relies on, for every policy."""

import tracemalloc
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbudget.policies.base import Policy
from testbudget.policies.gain_model import DifficultyBins, GainModel, GainModelAssignment
from testbudget.policies.names import POLICY_NAMES
from testbudget.policies.registry import create_policy, policy_class
from testbudget.rewards.errors import UserError

every_policy = pytest.mark.parametrize("name", POLICY_NAMES)
static_policies = [name for name in POLICY_NAMES if policy_class(name).static]
every_static_policy = pytest.mark.parametrize("name", static_policies)

UNLIMITED = 10**12
_RISING = 1 - 0.5 ** np.arange(14)
GAIN_MODEL = GainModel(
    "majority",
    _RISING,
    None,
    np.array([1, 3]),
    np.array([0.5, 0.4]),
    np.array([1.0, 1.5]),
    DifficultyBins(np.array([0.5]), np.stack([_RISING, _RISING / 2])),
)

ASKS = st.lists(st.integers(0, 30), max_size=6)


@st.composite
def jobs(draw):
    """Arguments of a policy, without its name."""
    problems = draw(st.integers(1, 10))

    def per_problem(numbers):
        return st.lists(numbers, min_size=problems, max_size=problems).map(np.array)

    return {
        "problems": problems,
        "pass_rates": draw(per_problem(st.floats(0, 1))),
        "min_tests": draw(st.integers(0, 3)),
        "max_tests": draw(per_problem(st.integers(0, 12))),
        "seed": draw(st.integers(0, 5)),
    }


def policy_of(name: str, problems: int = 4, **arguments) -> Policy:
    rates = np.linspace(0.2, 0.8, problems)
    known = {
        "pass_rates": rates,
        "gain_models": GainModelAssignment.shared(GAIN_MODEL, problems),
        "curves": 1 - (1 - rates[:, np.newaxis]) ** np.arange(14),
    }
    return create_policy(name, problems, **{**known, "max_tests": 5, **arguments})


def ask_all(policy, asks):
    return [policy.ask(remaining) for remaining in asks]


def ask_until_no_grants(policy, remaining=UNLIMITED):
    while grants := policy.ask(remaining):
        remaining -= sum(grant.tests for grant in grants)
    return policy.granted


def p_wrong_of(problem):
    return 1 / (problem + 1)


@every_policy
@given(job=jobs(), asks=ASKS)
def test_grants_stay_within_the_remaining_tests_and_bounds_and_count_at_once(name, job, asks):
    policy = policy_of(name, **job)
    granted = np.zeros(job["problems"], np.int64)
    for remaining in asks:
        grants = policy.ask(remaining)
        assert sum(grant.tests for grant in grants) <= remaining
        assert all(one.problem < following.problem for one, following in pairwise(grants))
        for grant in grants:
            assert grant.tests >= 1
            granted[grant.problem] += grant.tests
        np.testing.assert_array_equal(policy.granted, granted)
        assert (granted <= job["max_tests"]).all()
    assert policy.granted.dtype == np.int32


@every_policy
@given(job=jobs(), asks=ASKS)
def test_every_minimum_is_granted_before_anything_else(name, job, asks):
    policy = policy_of(name, **job)
    minimum = np.minimum(job["min_tests"], job["max_tests"])
    granted = np.zeros(job["problems"], np.int64)
    for grants in ask_all(policy, asks):
        for grant in grants:
            granted[grant.problem] += grant.tests
        assert (granted >= minimum).all() or (granted <= minimum).all()
    assert granted.sum() >= min(sum(asks), minimum.sum())


@every_policy
def test_a_short_minimum_is_spread_evenly(name):
    policy = policy_of(name, min_tests=3)
    policy.ask(6)
    assert sorted(policy.granted) == [1, 1, 2, 2]


@every_policy
@given(job=jobs(), remaining=st.integers(1, 60))
def test_grants_are_plain_numbers(name, job, remaining):
    for grant in policy_of(name, **job).ask(remaining):
        assert [type(field) for field in (grant.problem, grant.tests)] == [int, int]


@every_policy
@given(job=jobs(), asks=ASKS)
def test_the_same_seed_gives_the_same_grants(name, job, asks):
    assert ask_all(policy_of(name, **job), asks) == ask_all(policy_of(name, **job), asks)


@every_static_policy
@given(job=jobs(), asks=ASKS)
def test_several_asks_end_in_the_budgets_of_one_ask(name, job, asks):
    pieces, whole = policy_of(name, **job), policy_of(name, **job)
    ask_all(pieces, asks)
    whole.ask(sum(asks))
    np.testing.assert_array_equal(pieces.granted, whole.granted)


@every_static_policy
@given(job=jobs(), asks=ASKS, data=st.data())
def test_grants_of_a_static_policy_do_not_depend_on_p_wrong(name, job, asks, data):
    told, untold = policy_of(name, **job), policy_of(name, **job)
    for remaining in asks:
        for problem in data.draw(st.permutations(range(job["problems"]))):
            told.tell(problem, p_wrong_of(problem))
        assert told.ask(remaining) == untold.ask(remaining)


@every_policy
@given(job=jobs(), cap=st.integers(0, 60))
def test_a_cap_is_spent_unless_the_policy_has_no_more_grants(name, job, cap):
    policy = policy_of(name, **job)
    granted = ask_until_no_grants(policy, cap)
    assert granted.sum() <= cap
    assert granted.sum() == cap or policy.ask(UNLIMITED) == []


@every_policy
@given(job=jobs(), asks=ASKS, data=st.data())
def test_the_order_in_which_problems_are_told_does_not_matter(name, job, asks, data):
    forth, shuffled = policy_of(name, **job), policy_of(name, **job)
    for remaining in asks:
        for problem in range(job["problems"]):
            forth.tell(problem, p_wrong_of(problem))
        for problem in data.draw(st.permutations(range(job["problems"]))):
            shuffled.tell(problem, p_wrong_of(problem))
        assert forth.ask(remaining) == shuffled.ask(remaining)


@every_policy
@given(job=jobs(), before=ASKS, after=ASKS)
def test_a_restored_policy_grants_as_the_uninterrupted_one(name, job, before, after):
    uninterrupted, resumed = policy_of(name, **job), policy_of(name, **job)
    for remaining in before:
        for grant in uninterrupted.ask(remaining):
            uninterrupted.tell(grant.problem, p_wrong_of(grant.problem))
    resumed.tell(0, p_wrong_of(1))
    resumed.restore(uninterrupted.granted)
    for problem in np.flatnonzero(uninterrupted.granted):
        resumed.tell(int(problem), p_wrong_of(problem))
    np.testing.assert_array_equal(resumed.granted, uninterrupted.granted)
    assert ask_all(resumed, after) == ask_all(uninterrupted, after)


@every_policy
@given(job=jobs(), before=ASKS, data=st.data())
def test_revoking_the_latest_grants_undoes_the_ask(name, job, before, data):
    policy = policy_of(name, **job)
    ask_all(policy, before)
    before_ask = policy.granted
    remaining = data.draw(st.integers(0, 30))
    grants = policy.ask(remaining)
    for grant in reversed(grants):
        policy.revoke(grant.problem, grant.tests)
    np.testing.assert_array_equal(policy.granted, before_ask)
    assert policy.ask(remaining) == grants


@every_policy
@given(job=jobs(), before=ASKS, after=ASKS, data=st.data())
def test_a_closed_problem_is_never_granted_again_even_if_tests_are_revoked(name, job, before, after, data):
    policy = policy_of(name, **job)
    ask_all(policy, before)
    closed = data.draw(st.integers(0, job["problems"] - 1))
    policy.close(closed)
    policy.close(closed)
    policy.revoke(closed, int(policy.granted[closed]))
    assert closed not in {grant.problem for grants in ask_all(policy, after) for grant in grants}


@every_policy
def test_tests_of_a_closed_problem_go_to_the_others(name):
    policy = policy_of(name)
    policy.close(1)
    np.testing.assert_array_equal(ask_until_no_grants(policy, 100), [5, 0, 5, 5])


@every_policy
def test_no_remaining_tests_or_nothing_left_to_grant_means_no_grants(name):
    policy = policy_of(name, min_tests=1)
    assert policy.ask(0) == []
    np.testing.assert_array_equal(ask_until_no_grants(policy), [5, 5, 5, 5])
    assert policy.ask(10) == []


@every_policy
@pytest.mark.parametrize("unbounded", [2**31 - 1, 10**12])
def test_a_maximum_beyond_all_remaining_tests_is_no_bound(name, unbounded):
    bounded, free = policy_of(name, max_tests=30), policy_of(name, max_tests=unbounded)
    assert free.ask(30) == bounded.ask(30)


@every_policy
def test_negative_remaining_tests_are_refused(name):
    with pytest.raises(ValueError, match="remaining tests must not be negative"):
        policy_of(name).ask(-1)


@every_policy
def test_more_than_was_granted_cannot_be_revoked(name):
    policy = policy_of(name, max_tests=1)
    policy.ask(4)
    with pytest.raises(ValueError, match="cannot revoke 2 tests of 1 granted"):
        policy.revoke(0, 2)
    with pytest.raises(ValueError, match="cannot revoke -1 tests"):
        policy.revoke(0, -1)


@every_policy
@pytest.mark.parametrize("problem", [-1, 4])
@pytest.mark.parametrize(
    "call", [lambda p, i: p.tell(i, 0.5), lambda p, i: p.revoke(i, 0), lambda p, i: p.close(i)]
)
def test_an_unknown_position_is_an_error(name, problem, call):
    with pytest.raises(IndexError, match="problem must be between 0 and 3"):
        call(policy_of(name), problem)


@every_policy
@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"min_tests": -1}, "must not be negative"),
        ({"max_tests": -1}, "must not be negative"),
        ({"max_tests": np.array([1, 1, 1, -1])}, "must not be negative"),
        ({"min_tests": 6}, "min_tests must not exceed max_tests"),
    ],
)
def test_contradictory_limits_are_user_errors(name, limits, message):
    with pytest.raises(UserError, match=message):
        policy_of(name, **limits)


@every_policy
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"problems": 0}, "at least 1 problem"),
        ({"max_tests": np.array([1, 2])}, "max_tests must hold one number for each of 4"),
    ],
)
def test_arrays_that_do_not_fit_the_problems_are_refused(name, arguments, message):
    with pytest.raises(ValueError, match=message):
        policy_of(name, **arguments)


@every_policy
@pytest.mark.parametrize("granted", [np.zeros(3, np.int32), np.array([0, 0, 0, -1])])
def test_granted_tests_that_do_not_fit_the_problems_are_not_restored(name, granted):
    with pytest.raises(ValueError, match="granted"):
        policy_of(name).restore(granted)


@every_policy
def test_a_policy_keeps_less_than_200_bytes_a_problem(name):
    problems = 50_000
    rates, curves = np.linspace(0, 1, problems), np.tile(np.linspace(0, 1, 11), (problems, 1))
    tracemalloc.start()
    policy = policy_of(name, problems, pass_rates=rates, curves=curves, max_tests=100, min_tests=1)
    policy.ask(20 * problems)
    for problem in range(problems):
        policy.tell(problem, 0.5)
    policy.ask(problems)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 200 * problems

"""The contract of policies, held by every built-in: the published suite, many problems, memory."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbudget.policies.base import PolicyContext
from testbudget.policies.gain_model import DifficultyBins, GainModel, GainModelAssignment
from testbudget.policies.names import POLICY_NAMES
from testbudget.policies.registry import create_policy, policy_class
from testbudget.testing.policies import CHECKS
from tests.policies.one_at_a_time import allocate

every_policy = pytest.mark.parametrize("name", POLICY_NAMES)

_RISING = 1 - 0.5 ** np.arange(14)
GAIN_MODEL = GainModel(
    "majority",
    _RISING,
    DifficultyBins(np.array([0.5]), np.stack([_RISING, _RISING / 2])),
)


def context_of(pass_rates) -> PolicyContext:
    problems = len(pass_rates)
    return PolicyContext(
        problems,
        pass_rates=pass_rates,
        gain_models=GainModelAssignment.shared(GAIN_MODEL, problems),
        curves=1 - (1 - pass_rates[:, np.newaxis]) ** np.arange(14),
    )


@every_policy
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_every_built_in_policy_keeps_the_contract(name, check):
    check(policy_class(name).from_context)


@every_policy
@given(
    rate=st.floats(0, 1),
    p_wrong=st.floats(0, 1),
    p_change=st.floats(0, 1),
    granted=st.lists(st.integers(0, 2**40), min_size=2, max_size=8).map(sorted).map(np.array),
)
def test_values_are_finite_and_never_rise_at_any_pass_rate_and_estimates(
    name, rate, p_wrong, p_change, granted
):
    policy = create_policy(name, context_of(np.array([rate])))
    problems = np.zeros_like(granted)
    policy.observe(problems[:1], granted[:1], np.array([p_wrong]), np.array([p_change]))
    values = policy.values(problems, granted)
    assert np.isfinite(values).all()
    assert (values >= 0).all()
    assert (np.diff(values) <= 0).all()
    assert (policy.increments(granted) >= 1).all()


@every_policy
@given(
    rates=st.lists(st.sampled_from([0.0, 0.2, 0.5, 0.7, 1.0]), min_size=1, max_size=6).map(np.array),
    cap=st.integers(0, 40),
    more=st.integers(0, 20),
)
def test_a_larger_cap_takes_no_test_away(name, rates, cap, more):
    policy = create_policy(name, context_of(rates))
    smaller, larger = (allocate(policy, len(rates), tests, max_tests=9) for tests in (cap, cap + more))
    assert (smaller <= larger).all()


@every_policy
def test_a_policy_keeps_less_than_200_bytes_a_problem(name):
    problems = 50_000
    context = context_of(np.linspace(0, 1, problems))
    everyone, tests = np.arange(problems), np.full(problems, 3)
    tracemalloc.start()
    policy = create_policy(name, context)
    policy.observe(everyone, tests, *np.full((2, problems), 0.5))
    policy.values(everyone, tests)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 200 * problems

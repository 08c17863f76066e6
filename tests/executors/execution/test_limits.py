import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbudget.executors.execution.limits import (
    TestLimits,
    max_cpu_seconds,
    next_cpu_limit,
    overhead_seconds,
)
from testbudget.rewards.errors import UserError

LIMITS = st.builds(
    TestLimits,
    cpu_seconds=st.floats(0.01, 100),
    memory_mib=st.integers(64, 65536),
    max_threads=st.integers(1, 256),
)


@pytest.mark.parametrize("value", [0, -1, math.inf, math.nan])
def test_a_limit_must_be_a_positive_number(value):
    with pytest.raises(UserError, match=r"limits\.cpu_seconds must be a positive number"):
        TestLimits(cpu_seconds=value)


@given(LIMITS, st.integers(1, 1000), st.data())
def test_each_test_may_start_if_earlier_ones_kept_their_limits(limits, tests, data):
    done = data.draw(st.integers(0, tests - 1))
    spent = done * (limits.cpu_seconds + overhead_seconds(limits))
    assert next_cpu_limit(limits, tests, spent) >= limits.cpu_seconds


@given(LIMITS, st.integers(1, 1000), st.floats(0, 1e6))
def test_a_process_that_uses_its_cpu_limit_stays_within_the_bound(limits, tests, spent):
    cpu_limit = next_cpu_limit(limits, tests, spent)
    if cpu_limit:
        assert spent + cpu_limit + overhead_seconds(limits) <= max_cpu_seconds(limits, tests) * (1 + 1e-9)


def test_the_bound_without_tests_is_zero():
    assert max_cpu_seconds(TestLimits(), 0) == 0

"""A comparison that the tests of this folder share."""

import pytest

from testbudget.analysis.compare.evaluate import compare
from testbudget.analysis.compare.settings import CompareSettings
from testbudget.traces.tables import read_trace

SETTINGS = CompareSettings(
    policies=("greedy",),
    selections=("majority",),
    predictors=("none", "oracle", "noisy:0.5"),
    tests_per_problem=(1, 3, 9),
    permutations=4,
)


def learned(trace):
    raise AssertionError("no predictor was asked for")


@pytest.fixture(scope="session")
def trace(voted):
    return read_trace(voted)


@pytest.fixture(scope="session")
def comparison(trace):
    return compare(trace, SETTINGS, learned)

"""Batch of made-up problems: correct candidates pass most tests and agree, wrong ones pass few."""

from dataclasses import replace

import numpy as np
import pytest

from testbudget.rewards.outputs import Evidence, OutputMatrix
from testbudget.rewards.selection.batch import batch_statistics
from testbudget.rewards.votes import Votes

CANDIDATES, TESTS = 12, 10


def made_up(random: np.random.Generator) -> tuple[Evidence, np.ndarray]:
    correct = random.random(CANDIDATES) < random.random()
    good = random.uniform(0.3, 0.95)
    passed = random.random((TESTS, CANDIDATES)) < np.where(correct, good, 0.25)
    wrong_values = random.integers(1, 6, (TESTS, CANDIDATES))
    results = np.where(correct, 0, wrong_values).astype(np.int32)
    outputs = OutputMatrix(results, np.ones(results.shape, np.bool_), np.arange(TESTS + 1))
    return Evidence(Votes.from_matrix(passed), outputs), correct


@pytest.fixture(scope="session")
def problems() -> list[tuple[Evidence, np.ndarray]]:
    random = np.random.default_rng(3)
    drawn = [made_up(random) for _ in range(120)]
    batch = batch_statistics(evidence for evidence, _ in drawn)
    return [(replace(evidence, batch=batch), correct) for evidence, correct in drawn]

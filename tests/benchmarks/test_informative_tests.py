"""The most informative test separates the leading groups, and is charged for being found."""

import numpy as np
import pytest


def test_a_test_is_informative_if_its_inputs_separate_the_leading_groups(script, recording):
    informative_tests = script("informative_tests")
    nothing = recording.evidence(np.empty(0, np.intp))
    leading = informative_tests.LeadingPrograms.of(recording, nothing)
    assert leading.shares.sum() == pytest.approx(1)
    tests = recording.indices[:20].tolist()
    separations = [leading.separation(recording, test) for test in tests]
    called = {item.test for item in recording.recorded_outputs.inputs}
    assert 0 < max(separations) < 1
    assert all(
        separation == 0 for separation, test in zip(separations, tests, strict=True) if test not in called
    )
    one = informative_tests.LeadingPrograms(leading.programs[:1], np.ones(1))
    assert one.separation(recording, tests[0]) == 0


def test_the_most_informative_test_costs_more_than_one_test_and_less_than_all(script, recorded_tests):
    informative_tests, recorded_parts = script("informative_tests"), script("recorded_parts")
    recorded = [recorded_parts.keep_tests(one, np.arange(10)) for one in recorded_tests[:4]]
    evaluated = {
        choice: informative_tests.evaluate(recorded, choice, 2, 1) for choice in informative_tests.CHOICES
    }
    assert (
        evaluated[informative_tests.RANDOM].executions
        < evaluated[informative_tests.INFORMATIVE].executions
        < evaluated[informative_tests.ALL].executions
    )
    assert 0 < evaluated[informative_tests.INFORMATIVE].false_negative_rate < 1
    found = informative_tests.choice_rows(evaluated)
    assert [lead.value for lead in found[informative_tests.ALL].over_all] == [0, 0]
    np.testing.assert_allclose(
        found[informative_tests.INFORMATIVE].accuracy,
        100 * evaluated[informative_tests.INFORMATIVE].accuracy.mean(axis=(0, 1)),
    )

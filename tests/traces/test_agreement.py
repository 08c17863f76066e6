"""Scores of runs without labels."""

from dataclasses import replace

import numpy as np
import pytest

from testbudget.rewards.errors import UserError
from testbudget.rewards.prefix_statistics import output_groups_or_pass_sets
from testbudget.traces.agreement import Score, score_of, with_reference_picks
from testbudget.traces.output_tables import read_outputs
from testbudget.traces.records import DistinctPrograms, evidence_of
from testbudget.traces.tables import read_trace


@pytest.fixture(scope="module")
def labelled(voted):
    return read_trace(voted)


@pytest.fixture(scope="module")
def unlabelled(labelled):
    problems = {name: replace(seen, correct=None) for name, seen in labelled.problems.items()}
    return replace(labelled, problems=problems)


def test_a_run_with_labels_keeps_them(labelled):
    assert score_of(labelled) is Score.ACCURACY
    assert with_reference_picks(labelled) is labelled


def test_whole_output_groups_stand_for_the_pick_of_all_tests(unlabelled):
    assert score_of(unlabelled) is Score.AGREEMENT
    outputs = read_outputs(unlabelled.directory)
    for problem, seen in with_reference_picks(unlabelled).problems.items():
        assert seen.correct.any()
        groups = output_groups_or_pass_sets(
            evidence_of(seen.verdicts, DistinctPrograms.among(seen.candidates), outputs.get(problem))
        )
        chosen = np.unique(groups[seen.correct])
        np.testing.assert_array_equal(seen.correct, np.isin(groups, chosen))


def test_labels_of_some_problems_alone_are_refused(labelled, unlabelled):
    first = next(iter(labelled.problems))
    mixed = replace(labelled, problems=labelled.problems | {first: unlabelled.problems[first]})
    with pytest.raises(UserError, match="for all problems or for none but has them for"):
        with_reference_picks(mixed)


def test_a_run_without_labels_and_votes_is_refused(unlabelled):
    silent = {name: replace(seen, verdicts={}) for name, seen in unlabelled.problems.items()}
    with pytest.raises(UserError, match="labels or votes but it has neither"):
        with_reference_picks(replace(unlabelled, problems=silent))

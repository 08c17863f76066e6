"""Figures of a run on recorded tests."""

from dataclasses import replace

import numpy as np

from testbudget.analysis.report import summary_table
from testbudget.analysis.summary import summarise
from testbudget.rewards.problem import NOT_RUN, Verdict
from testbudget.traces.tables import read_trace, write_trace


def cells(summary) -> dict[str, str]:
    """Values of the table of one run, by the names of the rows."""
    return dict(summary_table([summary]).rows)


def test_a_summary_counts_output_groups_and_shows_an_input_that_tells_them_apart(finished):
    summary = summarise(finished)
    # Four programs, two of them with equal outputs.
    assert [problem.leading_groups.count for problem in summary.problems] == [3, 3, 3, 3, 3]
    first = summary.problems[0].leading_groups
    assert sum(group.candidates for group in first.groups) == 5
    assert [group.picked for group in first.groups].count(True) == 1
    assert first.call.startswith("times_2(")
    assert summary.output_groups == 3


def test_pairs_that_were_not_run_are_a_share_and_passes_on_trust_a_number(finished):
    trace = read_trace(finished)
    problems = {}
    for problem, seen in trace.problems.items():
        verdicts = {
            test: replace(
                record,
                verdicts=np.array([Verdict.PASSED, NOT_RUN, Verdict.UNCONFIRMED, Verdict.FAILED], np.uint8),
                same_process=np.array([True, True, True, False]),
            )
            for test, record in seen.verdicts.items()
        }
        problems[problem] = replace(seen, verdicts=verdicts)
    write_trace(replace(trace, problems=problems))
    summary = summarise(finished)
    assert summary.not_run == 1 / 4
    assert cells(summary)["passes counted on trust"] == "30"
    assert cells(summary)["pairs unconfirmed"] == "30"
    assert cells(summary)["  share saved"] == "25.0 %"


def test_quality_of_tests_is_measured_with_labels_and_estimated_with_and_without(finished):
    measured = summarise(finished)
    trace = read_trace(finished)
    write_trace(replace(trace, problems={p: replace(s, correct=None) for p, s in trace.problems.items()}))
    unlabelled = summarise(finished)
    assert measured.single.correct > 0
    assert measured.combined.accuracy == 1  # only the correct candidates pass all tests
    assert unlabelled.single is None
    assert unlabelled.combined is None
    assert unlabelled.expected_single == measured.expected_single
    assert 0 < unlabelled.estimated_accuracy < 1
    assert cells(unlabelled)["single tests: accuracy (estimated)"].startswith("– (")

"""Figures of a run, against what the recording was written from."""

import math
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from testbudget.analysis.report import print_report, summary_rows, write_report
from testbudget.analysis.summary import summarise
from testbudget.cli.main import main
from testbudget.rewards.overoptimisation import TestEffect
from testbudget.rewards.problem import NOT_RUN, Verdict
from testbudget.traces.tables import read_trace, write_trace


@pytest.fixture
def finished(recorded, tmp_path):
    path = recorded.write_job(tmp_path / "job.yaml", cap={"tests": 40})
    assert main(["run", str(path), "--out", str(tmp_path / "out")]) == 0
    return tmp_path / "out"


def test_a_summary_counts_behaviours_and_shows_what_tells_them_apart(finished):
    summary = summarise(finished)
    # Four programs, two of which do the same.
    assert [problem.leading.outputs_by_problem for problem in summary.problems] == [3, 3, 3, 3, 3]
    first = summary.problems[0].leading
    assert sum(group.candidates for group in first.groups) == 5
    assert [group.picked for group in first.groups].count(True) == 1
    assert first.call.startswith("times_2(")
    assert summary.outputs_by_problem == 3


def test_pairs_that_were_not_run_or_run_together_are_told_as_shares(finished):
    trace = read_trace(finished)
    problems = {}
    for problem, seen in trace.problems.items():
        verdicts = {
            test: replace(
                record,
                verdicts=np.array([Verdict.PASSED, NOT_RUN, Verdict.UNCONFIRMED, Verdict.FAILED], np.uint8),
                same_process=np.array([False, True, True, False]),
            )
            for test, record in seen.verdicts.items()
        }
        problems[problem] = replace(seen, verdicts=verdicts)
    write_trace(replace(trace, problems=problems))
    summary = summarise(finished)
    assert summary.not_run == 1 / 4
    assert summary.same_process == 1 / 3
    assert dict(summary_rows([summary]))["pairs unconfirmed"] == ["30"]
    assert dict(summary_rows([summary]))["  share saved"] == ["25.0 %"]


def test_a_run_without_behaviour_or_pairs_still_has_a_report(finished, tmp_path):
    for name in ("calls", "inputs", "outputs"):
        (finished / f"{name}.parquet").unlink()
    trace = read_trace(finished)
    write_trace(replace(trace, problems={p: replace(s, verdicts={}) for p, s in trace.problems.items()}))
    summary = summarise(finished)
    assert summary.outputs_by_problem is None
    assert math.isnan(summary.not_run)
    write_report([summary], tmp_path / "report.html")
    assert "times/2" in (tmp_path / "report.html").read_text()


def test_the_page_shows_the_call_and_what_the_groups_gave_back(finished, tmp_path):
    summary = summarise(finished)
    write_report([summary], tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    for group in summary.problems[0].leading.groups:
        assert f"<code>{group.gave}</code>" in page


def test_tests_are_measured_where_there_are_labels_and_estimated_anyway(finished):
    measured = summarise(finished)
    trace = read_trace(finished)
    write_trace(replace(trace, problems={p: replace(s, correct=None) for p, s in trace.problems.items()}))
    blind = summarise(finished)
    assert measured.single.right > 0
    assert measured.combined.accuracy == 1  # the right candidates pass all tests, and nobody else does
    assert blind.single is None
    assert blind.combined is None
    assert blind.expected_single == measured.expected_single
    assert 0 < blind.expected_accuracy < 1
    accuracy = dict(summary_rows([blind]))["single tests: accuracy (estimated)"][0]
    assert accuracy.startswith("– (")


def test_the_page_lists_problems_that_more_tests_may_harm(finished, tmp_path):
    summary = summarise(finished)
    harmed = replace(
        summary.problems[0], test_effect=TestEffect(p_gain=0.1, p_harm=0.3, reason="hardly anyone agrees")
    )
    summary = replace(summary, problems=[harmed, *summary.problems[1:]])
    assert summary.harmful[0] is harmed
    write_report([summary], tmp_path / "page.html")
    assert "hardly anyone agrees" in (tmp_path / "page.html").read_text()
    console = Console(width=200, record=True)
    print_report([summary], tmp_path / "page.html", console)
    assert "more tests may harm times/2" in console.export_text()

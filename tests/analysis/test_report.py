"""Reports of finished runs on the terminal and as JSON."""

import json
import math
from dataclasses import replace

import numpy as np
from rich.console import Console

from testbudget.analysis.report import print_report, summary_records
from testbudget.analysis.summary import summarise
from testbudget.rewards.overoptimisation import TestEffect
from testbudget.rewards.problem import NO_PROGRAM
from testbudget.traces.tables import read_trace, write_trace


def without_labels(directory) -> None:
    trace = read_trace(directory)
    write_trace(replace(trace, problems={p: replace(s, correct=None) for p, s in trace.problems.items()}))


def test_a_run_without_outputs_or_pairs_still_has_a_summary(finished):
    for name in ("calls", "inputs", "outputs"):
        (finished / f"{name}.parquet").unlink()
    trace = read_trace(finished)
    write_trace(replace(trace, problems={p: replace(s, verdicts={}) for p, s in trace.problems.items()}))
    summary = summarise(finished)
    assert summary.output_groups is None
    assert math.isnan(summary.not_run)


def test_answers_without_a_program_are_counted_and_told(finished, tmp_path):
    trace = read_trace(finished)
    marked = {
        problem: replace(
            seen, candidates=[*seen.candidates[:-1], replace(seen.candidates[-1], notes=(NO_PROGRAM,))]
        )
        for problem, seen in trace.problems.items()
    }
    write_trace(replace(trace, problems=marked))
    summary = summarise(finished)
    count, total = len(summary.problems), sum(problem.candidates for problem in summary.problems)
    console = Console(width=200, record=True)
    print_report([summary], tmp_path / "report.html", console)
    assert f"{count} of {total} answers hold no program" in console.export_text()
    (record,) = summary_records([summary])
    assert record["without_program"] == count
    assert record["problems"][0]["without_program"] == 1


def test_ground_truths_that_judge_all_candidates_alike_are_a_warning(finished, tmp_path):
    trace = read_trace(finished)
    first, *others = trace.problems
    alike = {first: replace(trace.problems[first], correct=np.zeros_like(trace.problems[first].correct))}
    write_trace(replace(trace, problems=alike | {other: trace.problems[other] for other in others}))
    summary = summarise(finished)
    console = Console(width=200, record=True)
    print_report([summary], tmp_path / "report.html", console)
    printed = console.export_text()
    assert (
        f"warning: the ground truth of {len(summary.judged_alike)} of {len(summary.problems)} " in printed
    )
    (record,) = summary_records([summary])
    assert first in record["judged_alike"]


def test_problems_that_more_tests_may_harm_are_printed(finished, tmp_path):
    summary = summarise(finished)
    harmful = replace(
        summary.problems[0], test_effect=TestEffect(p_gain=0.1, p_harm=0.3, reason="few candidates agree")
    )
    summary = replace(summary, problems=[harmful, *summary.problems[1:]])
    assert summary.harmful[0] is harmful
    console = Console(width=200, record=True)
    print_report([summary], tmp_path / "page.html", console)
    assert "more tests may harm times/2" in console.export_text()


def test_records_are_json_and_hold_the_figures_of_the_summary(finished):
    summary = summarise(finished)
    (record,) = json.loads(json.dumps(summary_records([summary]), allow_nan=False))
    assert record["accuracy"] == summary.accuracy
    assert record["spent"]["tests"] == summary.spent.tests == 40
    assert [one["p_correct"] for one in record["problems"]] == [one.p_correct for one in summary.problems]
    assert record["problems"][0]["predicted_pass_rate"] is None  # NaN: the run had no predictor
    assert record["test_quality"]["combined"]["measured"]["accuracy"] == 1


def test_records_are_null_where_labels_are_missing(finished):
    without_labels(finished)
    (record,) = summary_records([summarise(finished)])
    assert record["accuracy"] is None
    assert record["test_quality"]["single"]["measured"] is None
    assert 0 < record["estimated_accuracy"] < 1

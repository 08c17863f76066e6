"""Scores of a trained predictor as tables, as a page and as JSON."""

import json

import pytest
from rich.console import Console

from testbudget.analysis.training_report import (
    print_training,
    training_records,
    training_sections,
    write_training,
)
from testbudget.difficulty.examples import PASS_RATE
from testbudget.difficulty.methods import prediction_method
from testbudget.difficulty.training import (
    TrainingResult,
    TrainingSettings,
    fit_target,
    gather_problems,
)
from testbudget.traces.tables import read_trace
from tests.pages import blocks_of, cells_of


@pytest.fixture(scope="module")
def training(learnable):
    """One target by two quick methods."""
    settings = TrainingSettings(layers=(2,), method="linear", selection=None)
    problems = gather_problems([learnable.directory], settings, read_trace)
    fitted = {
        name: fit_target(
            prediction_method(name),
            problems.target_labels(PASS_RATE),
            problems.inputs,
            problems.content_hashes,
            seed=0,
        )
        for name in ("linear", "constant")
    }
    return TrainingResult(settings, problems, {PASS_RATE.name: fitted})


def test_every_target_and_method_is_printed_and_on_the_page(training, tmp_path):
    sections = training_sections(training, {})
    console = Console(width=140, record=True)
    print_training(sections, console)
    printed = console.export_text()
    assert "each problem predicted without its fold" in printed
    write_training(training, sections, tmp_path / "report.html")
    page = tmp_path / "report.html"
    cells, titles = cells_of(page), {table["title"] for table in blocks_of(page, "table")}
    (section,) = sections
    assert len(blocks_of(page, "predictions")) == len(section.evaluations)
    for target, by_method in section.evaluations.items():
        problems = len(by_method["linear"].labels.values)
        assert f"{target} ({problems})" in printed
        assert f"{target} ({problems})" in titles
        for method, evaluation in by_method.items():
            shown = f"{evaluation.scores.brier.value:.3f} ({evaluation.scores.brier.low:.3f}, "
            assert any(line.startswith(method) and shown in line for line in printed.splitlines())
            assert any(cell.startswith(shown) for cell in cells)


def test_records_are_json_and_hold_every_score(training):
    sections = training_sections(training, {"other": training_sections(training, {})[0].evaluations})
    record = json.loads(json.dumps(training_records(training, sections), allow_nan=False))
    assert record["method"] == "linear"
    assert record["runs"] == [{"run": "first", "problems": 60}]
    assert [section["run"] for section in record["sections"]] == [None, "other"]
    scores = sections[0].evaluations["pass_rate"]["linear"].scores
    shown = record["sections"][0]["scores"]["pass_rate"]["linear"]
    assert shown["problems"] == 60
    assert shown["spearman"] == {
        "value": scores.spearman.value,
        "interval": [scores.spearman.low, scores.spearman.high],
    }

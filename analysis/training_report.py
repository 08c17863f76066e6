"""Scores of a trained predictor on unseen problems: on the terminal, as an HTML page and as JSON."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from testbudget.analysis.tables import Table, format_interval, json_record
from testbudget.analysis.view.study_page import (
    Block,
    ReliabilityBin,
    heading_block,
    predictions_block,
    table_block,
    text_block,
    write_study_page,
)
from testbudget.difficulty.examples import TARGETS
from testbudget.difficulty.scores import PredictionScores
from testbudget.difficulty.training import TargetEvaluation, TrainingResult
from testbudget.rewards.bootstrap import Interval

_HEADINGS = {
    "spearman": "Spearman",
    "auroc": "AUROC",
    "brier": "Brier",
    "calibration_error": "calibration error",
}
_EXPLANATION = (
    "Every problem was predicted by models that were not fitted on it. Brackets are 95 % bootstrap "
    "intervals over problems. Smaller is better for Brier and calibration error. The charts show the "
    "method {}."
)
_BINS = 10
_NORMAL_95 = 1.96  # standard errors on either side

_EvaluationByMethod = Mapping[str, TargetEvaluation]


@dataclass(frozen=True, slots=True)
class ReportSection:
    """Evaluations on one set of problems.

    Attributes:
        title: names of the problems and of the models that predicted them.
        run: name of the evaluation run; None for the training problems, predicted across folds.
        evaluations: by target, then by method.
    """

    title: str
    run: str | None
    evaluations: Mapping[str, _EvaluationByMethod]


def training_sections(
    training: TrainingResult, held_out: Mapping[str, Mapping[str, _EvaluationByMethod]]
) -> list[ReportSection]:
    """Sections of a report: one for the training problems, then one for each evaluation run.

    Args:
        training: fitted models.
        held_out: evaluations by name of the run, then by target and method.
    """
    runs = ", ".join(f"{run.run} ({run.problems} problems)" for run in training.problems.runs)
    own = {
        target: {method: fitted.evaluation for method, fitted in by_method.items()}
        for target, by_method in training.fitted_targets.items()
    }
    return [
        ReportSection(f"{runs}, each problem predicted without its fold", None, own),
        *(
            ReportSection(f"{name}, predicted by models fitted on {runs}", name, evaluations)
            for name, evaluations in held_out.items()
        ),
    ]


def print_training(sections: Sequence[ReportSection], console: Console) -> None:
    """Print a table for each section."""
    for section in sections:
        console.print(section.title, style="bold", highlight=False, soft_wrap=True)
        rows: list[list[str]] = []
        headings = set()
        for target, by_method in section.evaluations.items():
            headings.add(len(rows))
            rows += [[_heading(target, by_method)], *_score_rows(by_method)]
        columns = ("", *_HEADINGS.values())
        Table("", columns, rows, frozenset(range(len(columns))), frozenset(headings)).print(console)
        console.print()


def write_training(training: TrainingResult, sections: Sequence[ReportSection], path: Path) -> None:
    """Write tables and charts of all sections as one HTML page.

    Raises:
        OSError: the file cannot be written.
    """
    method = training.settings.method
    blocks = [text_block(_EXPLANATION.format(method))]
    for section in sections:
        blocks.append(heading_block(section.title))
        for target, by_method in section.evaluations.items():
            about = TARGETS[target]
            blocks += [
                table_block(_score_table(target, by_method)),
                text_block(f"{about.meaning.capitalize()}. AUROC: whether {about.event}."),
                _chart(by_method[method]),
            ]
    write_study_page("A trained predictor of difficulty", blocks, path)


def training_records(training: TrainingResult, sections: Sequence[ReportSection]) -> dict[str, Any]:
    """Scores as plain JSON.

    Returns:
        An object with these keys:

        - ``method``: method of the saved model
        - ``runs``: ``run`` and ``problems`` of each training run
        - ``sections``: for each set of problems ``title``, ``run`` (null for the training problems,
          predicted across folds) and ``scores``: by target, then by method, ``spearman``, ``auroc``,
          ``brier`` and ``calibration_error`` as ``{"value": x, "interval": [low, high]}`` with a 95 %
          bootstrap interval, null where undefined, and ``problems``, their number
    """
    return {
        "method": training.settings.method,
        "runs": [{"run": one.run, "problems": one.problems} for one in training.problems.runs],
        "sections": [
            {
                "title": section.title,
                "run": section.run,
                "scores": {
                    target: {
                        method: {
                            "problems": len(evaluation.labels.values),
                            **{name: json_record(getattr(evaluation.scores, name)) for name in _HEADINGS},
                        }
                        for method, evaluation in by_method.items()
                    }
                    for target, by_method in section.evaluations.items()
                },
            }
            for section in sections
        ],
    }


def _reliability_bins(evaluation: TargetEvaluation) -> list[ReliabilityBin]:
    """Problems in bins of equal size by prediction, for the chart.

    The interval is the mean of the measured values ± 1.96 standard errors over problems.
    """
    order = np.argsort(evaluation.predicted.mean, kind="stable")
    bins = []
    for part in np.array_split(order, min(_BINS, len(order))):
        values = evaluation.labels.values[part]
        mean = float(values.mean())
        error = float(values.std(ddof=1) / math.sqrt(len(part))) if len(part) > 1 else 0.0
        bins.append(
            ReliabilityBin(
                float(evaluation.predicted.mean[part].mean()),
                mean,
                mean - _NORMAL_95 * error,
                mean + _NORMAL_95 * error,
                len(part),
            )
        )
    return bins


def _score_table(target: str, by_method: _EvaluationByMethod) -> Table:
    return Table(_heading(target, by_method), ("method", *_HEADINGS.values()), _score_rows(by_method))


def _score_rows(by_method: _EvaluationByMethod) -> list[list[str]]:
    names = [figure.name for figure in fields(PredictionScores)]
    return [
        [method, *(_score(getattr(evaluation.scores, name)) for name in names)]
        for method, evaluation in by_method.items()
    ]


def _heading(target: str, by_method: _EvaluationByMethod) -> str:
    problems = len(next(iter(by_method.values())).labels.values)
    return f"{target} ({problems})"


def _chart(evaluation: TargetEvaluation) -> Block:
    target = evaluation.labels.target
    return predictions_block(
        f"Predicted and measured {target.name.replace('_', ' ')}",
        evaluation.predicted.mean.tolist(),
        evaluation.labels.values.tolist(),
        _reliability_bins(evaluation),
        limits=(-1.0, 1.0) if target.signed else (0.0, 1.0),
    )


def _score(figure: Interval) -> str:
    return "–" if math.isnan(figure.value) else format_interval(figure, form=".3f", brackets="()")

"""A study on the terminal, as an HTML page, as Parquet and as JSON."""

from pathlib import Path
from typing import Any

import pyarrow as pa
from rich.console import Console

from testbudget.analysis.compare.settings import STATIC_RULES
from testbudget.analysis.tables import Table, format_interval, format_percent, json_record
from testbudget.analysis.tune.results import UNTUNED_RULE, Trial, TuneResult
from testbudget.analysis.view.study_page import (
    Block,
    Series,
    heading_block,
    lines_block,
    table_block,
    text_block,
    write_study_page,
)
from testbudget.policies.uniform import Uniform
from testbudget.rewards.bootstrap import Interval
from testbudget.traces.agreement import Score
from testbudget.traces.records import QUANTITIES
from testbudget.traces.tables import write_table

_LEGEND = (
    "Scores on training problems are too optimistic, because the choice was made on them. The static "
    f"reference is equal budgets with {' or '.join(STATIC_RULES)}, whichever is better on the same "
    "problems at the same cost."
)
_AGREEMENT = (
    " There are no labels: accuracy is agreement with the pick of all tests by `calibrated`, which says "
    "nothing of whether that is right, and favours rules like it."
)
_WORDS = frozenset({0, 1})  # columns


def print_study(result: TuneResult, console: Console) -> None:
    """Print the best choices with their scores on training and held-out problems."""
    console.print(_heading(result), highlight=False)
    for note in result.notes:
        console.print(note, highlight=False)
    _study_table(result).print(console)
    console.print(f"\n{_verdict(result)} {_LEGEND}", highlight=False)


def _study_table(result: TuneResult) -> Table:
    """Table of the best choice beside the untuned one, or of the Pareto front."""
    return (
        _best(result)
        if result.settings.saves is None or result.settings.wanted is not None
        else _front(result)
    )


def write_study(result: TuneResult, path: Path) -> None:
    """Write the best choices, and every trial, as one HTML page.

    Raises:
        OSError: the file cannot be written.
    """
    blocks = [text_block(_heading(result)), *map(text_block, result.notes)]
    blocks += [table_block(_study_table(result)), text_block(f"{_verdict(result)} {_LEGEND}")]
    if result.settings.pareto is not None and len(result.chosen) > 1:
        blocks.append(_chart_of_front(result, result.settings.pareto))
    blocks += [heading_block("All trials"), table_block(_trial_table(result), folded=True)]
    write_study_page(f"Rule, policy and cap tuned on {result.run}", blocks, path)


def write_trials(result: TuneResult, path: Path) -> None:
    """Write every trial as a row of a Parquet file.

    Columns: ``number``, ``state`` (complete or pruned), ``selection``, ``policy``, ``min_tests``,
    ``max_tests`` (null for all recorded tests), ``tests_per_problem``, ``accuracy`` in [0, 1] (null if
    pruned), ``accuracy_by_permutation`` (a list), and ``tests``, ``tokens``, ``executions``,
    ``cpu_seconds`` and ``gpu_seconds`` spent per problem (null if pruned or unmeasured).
    """
    schema = pa.schema(
        [
            ("number", pa.int64()),
            *((name, pa.string()) for name in ("state", "selection", "policy")),
            *((name, pa.int64()) for name in ("min_tests", "max_tests")),
            *((name, pa.float64()) for name in ("tests_per_problem", "accuracy")),
            ("accuracy_by_permutation", pa.list_(pa.float64())),
            *((name, pa.float64()) for name in QUANTITIES),
        ]
    )
    rows = [_row(trial) for trial in result.trials]
    write_table(pa.Table.from_pylist(rows, schema), path)


def study_records(result: TuneResult) -> dict[str, Any]:
    """Figures of a study as plain JSON.

    A figure is ``{"value": x, "interval": [low, high]}`` with a 95 % bootstrap interval; shares are in
    [0, 1]; an unknown number is null.

    Returns:
        An object with these keys:

        - ``run``, ``score`` (accuracy, or agreement without labels)
        - ``tests_per_problem``, ``pareto``, ``wanted``, ``permutations``, ``held_out``, ``seed``, ``notes``
        - ``problems``: numbers of ``training`` and ``held_out`` problems
        - ``trials``: for each trial the columns of :func:`write_trials`
        - ``chosen``: the best choice, or the Pareto front from the cheapest. Each has ``selection``,
          ``policy``, ``tests_per_problem``, ``min_tests``, ``max_tests``, and under ``training`` and
          ``held_out`` the figures ``accuracy``, ``reference_accuracy``, ``vs_reference``,
          ``untuned_accuracy``, ``untuned_vs_reference`` and ``vs_untuned``, the rule ``reference``, and
          ``spent`` by quantity, per problem
    """
    settings = result.settings
    return {
        "run": result.run,
        "score": result.score.value,
        "tests_per_problem": settings.tests_per_problem,
        "pareto": settings.pareto,
        "wanted": settings.wanted,
        "permutations": settings.permutations,
        "held_out": settings.held_out,
        "seed": settings.seed,
        "notes": list(result.notes),
        "problems": {"training": result.problems[0], "held_out": result.problems[1]},
        "trials": [json_record(_row(trial)) for trial in result.trials],
        "chosen": [
            json_record(
                {**json_record(tuned.choice), "training": tuned.training, "held_out": tuned.held_out}
            )
            for tuned in result.chosen
        ],
    }


def _chart_of_front(result: TuneResult, quantity: str) -> Block:
    """Accuracy of the chosen settings against their cost, on both sides of the split."""
    sides = {
        "training problems": [one.training for one in result.chosen],
        "held-out problems": [one.held_out for one in result.chosen],
    }
    series = [
        Series(
            name,
            [getattr(scores.spent, quantity) for scores in side],
            [scores.accuracy.value for scores in side],
            [scores.accuracy.low for scores in side],
            [scores.accuracy.high for scores in side],
        )
        for name, side in sides.items()
    ]
    say = "each point is one choice; bands: 95 % bootstrap intervals"
    return lines_block(
        "Accuracy of the chosen settings", series, say=say, x=f"{_words(quantity)} per problem"
    )


def _trial_table(result: TuneResult) -> Table:
    columns = ("trial", "state", "selection", "policy", "tests", "accuracy")
    rows = []
    for trial in result.trials:
        row = _row(trial)
        accuracy = format_percent(row["accuracy"])
        cells = (row["state"], row["selection"], row["policy"], f"{row['tests_per_problem']:g}", accuracy)
        rows.append([str(row["number"]), *cells])
    return Table(
        "Every trial: tests per problem, and accuracy in % on the training problems",
        columns,
        rows,
        frozenset({1, 2, 3}),
    )


def _row(trial: Trial) -> dict[str, Any]:
    choice = trial.choice
    return {
        "number": trial.number,
        "state": "complete" if trial.complete else "pruned",
        "selection": choice.selection,
        "policy": choice.policy,
        "min_tests": choice.min_tests,
        "max_tests": choice.max_tests,
        "tests_per_problem": float(choice.tests_per_problem),
        "accuracy": trial.accuracy,
        "accuracy_by_permutation": list(trial.accuracy_by_permutation),
        **{name: trial.spent.get(name) for name in QUANTITIES},
    }


def _heading(result: TuneResult) -> str:
    settings = result.settings
    pruned = sum(not trial.complete for trial in result.trials)
    different = len({trial.choice for trial in result.trials})
    stopped = f", {pruned} pruned" if pruned else ""
    aim = (
        f"at {settings.tests_per_problem:g} tests per problem"
        if settings.saves is None
        else f"for high accuracy and few {_words(settings.saves)}"
    )
    return (
        f"{result.run}: {len(result.trials)} trials of {different} different choices{stopped} {aim}, on "
        f"{result.problems[0]} problems in {settings.permutations} permutations of their tests. "
        f"{result.problems[1]} problems were held out."
        + (_AGREEMENT if result.score is Score.AGREEMENT else "")
    )


def _verdict(result: TuneResult) -> str:
    if result.settings.pareto is not None:
        better = sum(tuned.held_out.vs_reference.low > 0 for tuned in result.chosen)
        worse = sum(tuned.held_out.vs_reference.high < 0 for tuned in result.chosen)
        return (
            f"On held-out problems, {better} of {len(result.chosen)} choices are beyond noise more "
            f"accurate than the static reference at the same cost, and {worse} less."
        )
    gain = result.chosen[0].held_out.vs_untuned
    verdict = "a gain beyond" if gain.low > 0 else "a loss beyond" if gain.high < 0 else "within"
    return (
        f"On held-out problems, tuning is worth {_points(gain)} points over {UNTUNED_RULE} with equal "
        f"budgets: {verdict} noise."
    )


def _best(result: TuneResult) -> Table:
    (tuned,) = result.chosen
    rows = []
    for side, problems, scores in zip(
        ("training", "held out"), result.problems, (tuned.training, tuned.held_out), strict=True
    ):
        name = f"{side} ({problems})"
        static = f"equal budgets, {scores.reference}"
        untuned = f"equal budgets, {UNTUNED_RULE}"
        rows += [
            [name, static, _percent(scores.reference_accuracy), "", ""],
            [name, untuned, _percent(scores.untuned_accuracy), _points(scores.untuned_vs_reference), ""],
            [
                name,
                tuned.choice.name,
                _percent(scores.accuracy),
                _points(scores.vs_reference),
                _points(scores.vs_untuned),
            ],
        ]
    wanted = result.settings.wanted
    choice = (
        "The most accurate choice"
        if wanted is None
        else f"The choice with fewest tests for {100 * wanted:g} % on the training problems, "
        f"{tuned.choice.tests_per_problem:g} per problem"
    )
    return Table(
        f"{choice}: accuracy in %, and points over the static reference and over no tuning",
        ("problems", "choice", "accuracy", "vs reference", f"vs {UNTUNED_RULE}, {Uniform.name}"),
        rows,
        _WORDS,
        ditto=True,
    )


def _front(result: TuneResult) -> Table:
    cost = str(result.settings.pareto)
    rows = []
    for number, tuned in enumerate(result.chosen, 1):
        row = [str(number), tuned.choice.name, f"{tuned.choice.tests_per_problem:g}"]
        for side in (tuned.training, tuned.held_out):
            row += [
                f"{getattr(side.spent, cost):,.1f}",
                _percent(side.accuracy),
                _points(side.vs_reference),
            ]
        rows.append(row)
    return Table(
        f"Choices that no other beats in both accuracy and {_words(cost)} per problem, compared with the "
        f"static reference: on the {result.problems[0]} training problems, then on the "
        f"{result.problems[1]} held out",
        ("job", "choice", "cap", *2 * (_words(cost), "in %", "vs reference")),
        rows,
        _WORDS,
        ditto=True,
    )


def _words(quantity: str) -> str:
    return quantity.replace("_", " ")


def _percent(figure: Interval) -> str:
    return format_percent(figure.value)


def _points(figure: Interval) -> str:
    return format_interval(figure, 100, "+.1f")

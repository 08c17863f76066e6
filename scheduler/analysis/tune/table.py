"""A study on the terminal, and its trials as Parquet."""

from pathlib import Path

import pyarrow as pa
from optuna.trial import TrialState
from rich.console import Console
from rich.table import Table

from scheduler.analysis.tune.sheets import LEGEND, heading, sheet, verdict
from scheduler.analysis.tune.tuning import Tuned
from scheduler.ledger import QUANTITIES
from scheduler.tables import write_table

WIDTH = 118
"""Characters that a line of the printed table needs."""


def print_tuned(tuned: Tuned, console: Console) -> None:
    """Prints what was chosen, and what it comes to on problems that it was not chosen by."""
    console.print(heading(tuned), highlight=False)
    for note in tuned.notes:
        console.print(note, highlight=False)
    shown = sheet(tuned)
    console.print(f"\n[italic]{shown.title}[/italic]", highlight=False)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for position, name in enumerate(shown.columns):
        table.add_column(name, justify="left" if position <= shown.words else "right", no_wrap=True)
    before = None
    for row in shown.rows:
        table.add_row("" if row[0] == before else row[0], *row[1:])
        before = row[0]
    console.print(table, highlight=False)
    console.print(f"\n{verdict(tuned)} {LEGEND}", highlight=False)


def write_trials(tuned: Tuned, path: Path) -> None:
    """Writes every trial as a row of a Parquet file; spending is per problem."""
    rows = [
        {
            "number": record.number,
            "state": record.state.name.lower(),
            "selection": choice.selection,
            "policy": choice.policy,
            "min_tests": choice.min_tests,
            "max_tests": choice.max_tests,
            "tests_per_problem": float(choice.tests_per_problem),
            "accuracy": record.values[0] if record.state is TrialState.COMPLETE else None,
            "accuracy_by_order": list(record.intermediate_values.values()),
            **{name: record.user_attrs.get(name) for name in QUANTITIES},
        }
        for choice, record in ((attempt.choice, attempt.record) for attempt in tuned.attempts)
    ]
    schema = pa.schema(
        [
            ("number", pa.int64()),
            *((name, pa.string()) for name in ("state", "selection", "policy")),
            *((name, pa.int64()) for name in ("min_tests", "max_tests")),
            *((name, pa.float64()) for name in ("tests_per_problem", "accuracy")),
            ("accuracy_by_order", pa.list_(pa.float64())),
            *((name, pa.float64()) for name in QUANTITIES),
        ]
    )
    write_table(pa.Table.from_pylist(rows, schema), path)

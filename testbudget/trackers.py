"""Figures of a run for an experiment tracker: one callback for ``testbudget.run(..., watch=...)``."""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from testbudget.runs import Run
    from testbudget.scheduler.run_status import RunStatus

_LAST_PHASE = "done"
_FINAL = ("pass_at_1", "accuracy", "solvable", "estimated_accuracy", "coverage", "covered_accuracy", "usd")


class LogFigures(Protocol):
    """Function that logs figures by name, such as ``mlflow.log_metrics`` and ``wandb.log``."""

    def __call__(self, figures: dict[str, float], /, *, step: int) -> Any:
        """Log the figures of one step."""


def tracker(log: LogFigures, *, every_seconds: float = 10.0) -> "Callable[[RunStatus], None]":
    """A callback that logs the figures of a run while it goes.

    Args:
        log: function that takes the figures by name, and as ``step`` the whole seconds since the run began.
        every_seconds: least time between two calls of it, by the clock of the run. The first and the last
            status are logged in any case.

    Example:
        >>> logged = []
        >>> watch = tracker(lambda figures, *, step: logged.append((step, figures)))
        >>> run = testbudget.run("job.yaml", watch=watch)  # doctest: +SKIP
    """
    if not every_seconds >= 0:
        raise ValueError(f"every_seconds must be at least 0 but got {every_seconds}")
    due = -math.inf

    def watch(status: "RunStatus") -> None:
        nonlocal due
        if status.seconds >= due or status.name == _LAST_PHASE:
            due = status.seconds + every_seconds
            log(status_figures(status), step=int(status.seconds))

    return watch


def status_figures(status: "RunStatus") -> dict[str, float]:
    """Figures of a run that goes on: ``spent/UNIT``, ``lost/UNIT``, ``cap/UNIT`` and ``problems/STAGE``."""
    books = status.books
    figures = {
        f"{kind}/{unit}": float(amount)
        for kind, amounts in (("spent", books.spent), ("lost", books.lost), ("cap", books.limits))
        for unit, amount in amounts.items()
    }
    stages = {"all": status.problems, "prepared": status.prepared, "with_votes": status.with_votes}
    return figures | {f"problems/{stage}": float(count) for stage, count in stages.items()}


def run_figures(run: "Run") -> dict[str, float]:
    """Figures of a finished run: accuracies, estimates, ``spent/UNIT`` and ``verdicts/KIND``.

    A figure that is unknown, such as the accuracy without labels, is left out.

    Example:
        >>> round(run_figures(testbudget.load("examples/humaneval"))["accuracy"], 3)  # doctest: +SKIP
        0.768
    """
    from testbudget.analysis.report import summary_records

    (record,) = summary_records([run.summary])
    figures = {name: record[name] for name in _FINAL}
    for kind in ("spent", "verdicts"):
        figures |= {f"{kind}/{name}": value for name, value in record[kind].items()}
    return {name: float(value) for name, value in figures.items() if value is not None}

"""A whole study: tries choices until there are enough, then scores what was chosen on held-out problems."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import optuna
from optuna.trial import FrozenTrial

from rewards.errors import UserError
from scheduler.analysis.tune.findings import Finding, findings
from scheduler.analysis.tune.players import Field, prepare
from scheduler.analysis.tune.settings import Settings
from scheduler.analysis.tune.space import Choice
from scheduler.analysis.tune.studying import FINISHED, choice_of, chosen, cut_off, open_study, try_one
from scheduler.trace import Trace

JOURNAL = "study.journal"

Attempts = Callable[[optuna.Study, Field, int, Callable[[], None]], None]
"""Has so many choices tried, and says after each that one more is done."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """A trial that came to an end.

    Attributes:
        choice: what it tried.
        record: all that Optuna knows of it.
    """

    choice: Choice
    record: FrozenTrial


@dataclass(frozen=True, slots=True)
class Tuned:
    """What became of a study.

    Attributes:
        run: name of the run.
        settings: what was asked for.
        problems: how many were chosen by, and how many were held out.
        attempts: in the order in which they began.
        found: the best choice, or the front from the cheapest.
        notes: what could not be tried with this run, in sentences.
    """

    run: str
    settings: Settings
    problems: tuple[int, int]
    attempts: tuple[Attempt, ...]
    found: tuple[Finding, ...]
    notes: tuple[str, ...]


def tune(
    trace: Trace,
    settings: Settings,
    folder: Path,
    watch: Callable[[int], None] = lambda _: None,
    attempts: Attempts | None = None,
) -> Tuned:
    """Tunes on a finished run with labels.

    Args:
        trace: the run.
        settings: see there.
        folder: of the study; made if it is not there, gone on with if it is.
        watch: told how many trials have come to an end.
        attempts: in other processes; None tries one choice after the other here.

    Raises:
        UserError: settings or a folder that cannot be had with this run.
    """
    field = prepare(trace, settings)
    _check_folder(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with open_study(folder / JOURNAL, _identity(trace, settings), field) as study:

        def finished() -> list[FrozenTrial]:
            return list(study.get_trials(deepcopy=False, states=FINISHED))

        def look() -> None:
            watch(len(finished()))

        look()
        for trial in cut_off(study):
            try_one(study, field, settings, trial)
            look()
        missing = settings.trials - len(finished())
        if attempts is not None and missing > 1:
            attempts(study, field, missing, look)
        while len(finished()) < settings.trials:
            try_one(study, field, settings)
            look()
        return Tuned(
            trace.directory.resolve().name,
            settings,
            (len(field.training.ground.available), len(field.held_out.ground.available)),
            tuple(Attempt(choice_of(trial, field), trial) for trial in finished()),
            tuple(findings(chosen(study, field), field, settings)),
            field.notes,
        )


def _identity(trace: Trace, settings: Settings) -> dict[str, object]:
    """Tells studies apart; of the run, by its problems and how many tests and candidates they have."""
    told = hashlib.sha256()
    for problem, seen in trace.problems.items():
        told.update(repr((problem, seen.content_hash, len(seen.candidates), sorted(seen.tests))).encode())
    return {"run": told.hexdigest()[:12], **settings.identity()}


def _check_folder(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise UserError(f"--out must be a directory but {folder} is a file")
    if folder.exists() and any(folder.iterdir()) and not (folder / JOURNAL).exists():
        raise UserError(f"--out must be a new directory or that of a study but {folder} holds other files")

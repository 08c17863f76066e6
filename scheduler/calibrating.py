"""What signs of a good pick are worth, learned from finished runs and kept with the run that uses it."""

import itertools
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from rewards.confidence import SHIPPED, Calibration, fold_of
from rewards.confidence.fitting import Lesson, fit, lessons
from rewards.errors import UserError
from rewards.evidence import Evidence
from rewards.selection import SelectionRule, selection_rule
from rewards.selection.batch import batch_of
from scheduler.behaviours import read_behaviours
from scheduler.job import Job
from scheduler.records import Distinct, evidence_of
from scheduler.tables import ReadTrace
from scheduler.trace import Trace

_FILE = "calibration.json"


def check_calibration(job: Job, read: ReadTrace) -> None:
    """Finds runs that cannot be calibrated on before anything is spent.

    Raises:
        UserError: a run cannot be read, or has a problem without labels or without votes.
    """
    for run in job.confidence.calibrate_on or []:
        _check(read(run))


def calibrate(job: Job, read: ReadTrace, directory: Path) -> Calibration:
    """Learns what the job says, and keeps it in the run's directory.

    Raises:
        UserError: as :func:`check_calibration`.
    """
    runs = job.confidence.calibrate_on
    if not runs:
        return SHIPPED
    rule = selection_rule(job.selection)
    taught = itertools.chain.from_iterable(_taught(read(run), rule, job.seed) for run in runs)
    calibration = fit(taught, f"learned from {', '.join(map(str, runs))}")
    content = {"source": calibration.source, "models": calibration.as_text().split("\n")}
    partial = directory / f"{_FILE}.partial"
    partial.write_text(json.dumps(content, indent=1), encoding="utf-8")
    partial.replace(directory / _FILE)
    return calibration_of(directory)  # what is kept is rounded, and reports are to say the same


def calibration_of(directory: Path) -> Calibration:
    """What a finished run's picks were judged by.

    Raises:
        UserError: it is kept there but cannot be read.
    """
    path = directory / _FILE
    if not path.exists():
        return SHIPPED
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return Calibration.of_text(content["source"], "\n".join(content["models"]))
    except (OSError, ValueError, KeyError, TypeError):
        raise UserError(f"{path} must be what a run has written but it cannot be read") from None


def _taught(trace: Trace, rule: SelectionRule, seed: int) -> Iterator[Lesson]:
    _check(trace)
    behaviours = read_behaviours(trace.directory)
    random = np.random.default_rng(seed)
    shown: list[Evidence] = []
    for problem, seen in trace.problems.items():
        evidence = evidence_of(seen.verdicts, Distinct.among(seen.candidates), behaviours.get(problem))
        shown.append(evidence.of_tests(random.permutation(evidence.votes.tests)))
    batch = batch_of(shown)
    for evidence, seen in zip(shown, trace.problems.values(), strict=True):
        assert seen.correct is not None
        yield from lessons(
            replace(evidence, batch=batch),
            seen.correct,
            [rule],
            fold_of(seen.content_hash),
            seen.predicted_pass_rate,
            random,
        )


def _check(trace: Trace) -> None:
    for problem, seen in trace.problems.items():
        if seen.correct is None:
            raise UserError(
                f"{trace.directory} must have labels to calibrate on but problem {problem} has none"
            )
    if not any(seen.verdicts for seen in trace.problems.values()):
        raise UserError(f"{trace.directory} must have votes to calibrate on but it has none")

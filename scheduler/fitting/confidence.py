"""Confidence models fitted on finished runs, and stored with the run that uses them."""

import itertools
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from testbudget.rewards.confidence.fit import TrainingRows, fit_confidence_models, training_rows
from testbudget.rewards.confidence.model import ConfidenceModels, default_models
from testbudget.rewards.errors import UserError
from testbudget.rewards.outputs import Evidence
from testbudget.rewards.seeds import problem_fold
from testbudget.rewards.selection.base import SelectionRule
from testbudget.rewards.selection.batch import batch_statistics
from testbudget.rewards.selection.registry import selection_rule
from testbudget.scheduler.job import Job
from testbudget.traces.files import write_text
from testbudget.traces.output_tables import read_outputs
from testbudget.traces.records import DistinctPrograms, evidence_of
from testbudget.traces.tables import ReadTrace
from testbudget.traces.trace import Trace

_FILE = "confidence.json"


def check_confidence_runs(job: Job, read: ReadTrace) -> None:
    """Check the runs of ``confidence.fit_from`` before anything is spent.

    Raises:
        UserError: a run cannot be read, or has a problem without labels or without votes.
    """
    for run in job.confidence.fit_from or []:
        _check_run(read(run))


def confidence_models_for(job: Job, read: ReadTrace, directory: Path) -> ConfidenceModels:
    """Confidence models of a run, kept in its directory as ``confidence.json``.

    They are read from there if they are there already. If the job names one run whose own models were
    fitted for the same rule and seed, these are taken over. Otherwise models are fitted on the runs of
    ``confidence.fit_from``.

    Args:
        job: the job.
        read: reads a finished run.
        directory: run directory.

    Returns:
        The models as stored, or the default models if the job names no run.

    Raises:
        UserError: as :func:`check_confidence_runs`, or stored models cannot be read.
    """
    runs = job.confidence.fit_from
    if not runs:
        return default_models()
    if not (directory / _FILE).exists():
        facts: dict[str, str | int] = {"selection": job.selection, "seed": job.seed}
        if len(runs) == 1 and facts.items() <= _facts(runs[0] / _FILE).items():
            models = confidence_models_of(runs[0])
        else:
            models = _fitted(job, runs, read)
        write_text(models.as_json(**facts), directory / _FILE)
    return confidence_models_of(directory)  # stored models are rounded; reports read them


def confidence_models_of(directory: Path) -> ConfidenceModels:
    """The confidence models of a finished run: those in its directory, or the default models.

    Raises:
        UserError: the stored models cannot be read.
    """
    path = directory / _FILE
    if not path.exists():
        return default_models()
    try:
        return ConfidenceModels.of_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise UserError(
            f"{path} must hold confidence models that a run has written but it cannot be read"
        ) from None


def _facts(path: Path) -> dict[str, Any]:
    """Fields of stored models; none if there are no models that can be read."""
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {name: facts.get(name) for name in ("selection", "seed")} if isinstance(facts, dict) else {}


def _fitted(job: Job, runs: Sequence[Path], read: ReadTrace) -> ConfidenceModels:
    rule = selection_rule(job.selection)
    rows = itertools.chain.from_iterable(_training_rows_of(read(run), rule, job.seed) for run in runs)
    return fit_confidence_models(rows, f"fitted on {', '.join(map(str, runs))}")


def _training_rows_of(trace: Trace, rule: SelectionRule, seed: int) -> Iterator[TrainingRows]:
    _check_run(trace)
    outputs_by_problem = read_outputs(trace.directory)
    random = np.random.default_rng(seed)
    evidence_of_each: list[Evidence] = []
    for problem, seen in trace.problems.items():
        evidence = evidence_of(
            seen.verdicts, DistinctPrograms.among(seen.candidates), outputs_by_problem.get(problem)
        )
        evidence_of_each.append(evidence.of_tests(random.permutation(evidence.votes.tests)))
    batch = batch_statistics(evidence_of_each)
    for evidence, seen in zip(evidence_of_each, trace.problems.values(), strict=True):
        assert seen.correct is not None
        yield from training_rows(
            replace(evidence, batch=batch),
            seen.correct,
            [rule],
            problem_fold(seen.content_hash),
            seen.predicted_pass_rate,
            random,
        )


def _check_run(trace: Trace) -> None:
    for problem, seen in trace.problems.items():
        if seen.correct is None:
            raise UserError(
                f"{trace.directory} must have labels to fit confidence models "
                f"but problem {problem} has none"
            )
    if not any(seen.verdicts for seen in trace.problems.values()):
        raise UserError(f"{trace.directory} must have votes to fit confidence models but it has none")

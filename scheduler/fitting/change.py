"""Models of p_change fitted on finished runs, without labels, and stored with the run that uses them."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from testbudget.rewards.confidence.change import ChangeModel, default_change_model
from testbudget.rewards.confidence.change_fit import ChangeRows, change_rows, fit_change_model
from testbudget.rewards.errors import UserError
from testbudget.rewards.prefix_statistics import PrefixStatistics, output_groups_or_pass_sets
from testbudget.rewards.selection.base import SelectionRule
from testbudget.rewards.selection.batch import combine_batch, contribution_by
from testbudget.rewards.selection.registry import selection_rule
from testbudget.scheduler.job import Job
from testbudget.traces.files import write_text
from testbudget.traces.output_tables import read_outputs
from testbudget.traces.records import DistinctPrograms, evidence_of
from testbudget.traces.tables import ReadTrace
from testbudget.traces.trace import Trace

_FILE = "change.json"
_PERMUTATIONS = 4
_MOST_TESTS = 40  # of each problem: a row with more is like the rows before it


def check_change_runs(job: Job, read: ReadTrace) -> None:
    """Check the runs of ``policy.change_from`` before anything is spent.

    Raises:
        UserError: a run cannot be read, or has no problem with two tests.
    """
    for run in job.policy.change_from or []:
        _check_run(read(run))


def change_model_for(job: Job, read: ReadTrace, directory: Path) -> ChangeModel:
    """Model of p_change of a run, kept in its directory as ``change.json``.

    It is read from there if it is there already. Otherwise it is fitted on the runs of
    ``policy.change_from``, pooled, with the default model as prior. They need no labels.

    Args:
        job: the job.
        read: reads a finished run.
        directory: run directory.

    Returns:
        The model as stored, or the default model if the job names no run.

    Raises:
        UserError: as :func:`check_change_runs`, or a stored model cannot be read.
    """
    runs, path = job.policy.change_from, directory / _FILE
    if not runs:
        return default_change_model()
    if not path.exists():
        rule = selection_rule(job.selection)
        rows = [row for run in runs for row in change_rows_of_run(read(run), rule, job.seed)]
        model = fit_change_model(rows, f"fitted on {', '.join(map(str, runs))}", default_change_model())
        write_text(model.as_json(selection=job.selection, seed=job.seed), path)
    try:
        return ChangeModel.of_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, json.JSONDecodeError):
        raise UserError(f"{path} must hold a model that a run has written but it cannot be read") from None


def change_rows_of_run(trace: Trace, rule: SelectionRule, seed: int) -> Iterator[ChangeRows]:
    """Training data of a finished run: its tests in a few random permutations. No label is read.

    Args:
        trace: the run.
        rule: makes the picks.
        seed: seed of the permutations.

    Raises:
        UserError: no problem has two tests with votes.
    """
    _check_run(trace)
    outputs_by_problem = read_outputs(trace.directory)
    every = [
        evidence_of(seen.verdicts, DistinctPrograms.among(seen.candidates), outputs_by_problem.get(problem))
        for problem, seen in trace.problems.items()
    ]
    for permutation in range(_PERMUTATIONS):
        random = np.random.default_rng([seed, permutation])
        drawn = [one.of_tests(random.permutation(one.votes.tests)[:_MOST_TESTS]) for one in every]
        statistics = [PrefixStatistics(one, range(one.votes.tests + 1)) for one in drawn]
        batch = combine_batch([contribution_by(one) for one in statistics])
        for one in statistics:
            seen_with = one.with_batch(batch if rule.uses_batch else None)
            evidence = replace(one.evidence, batch=seen_with.batch)
            won = rule.winners_after(evidence, seen_with.counts.tolist())
            yield change_rows(seen_with, won, output_groups_or_pass_sets(one.evidence))


def _check_run(trace: Trace) -> None:
    if max((len(seen.verdicts) for seen in trace.problems.values()), default=0) < 2:
        raise UserError(
            f"{trace.directory} must have a problem with at least two tests to fit p_change but it has none"
        )

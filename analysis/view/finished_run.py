"""A finished run with all that its page shows, read once."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from testbudget.rewards.confidence.model import ConfidenceModels
from testbudget.rewards.errors import UserError
from testbudget.rewards.outputs import RecordedOutputs, output_groups
from testbudget.rewards.problem import Problem
from testbudget.rewards.selection.base import SelectionRule
from testbudget.rewards.selection.registry import selection_rule
from testbudget.scheduler.fitting.confidence import confidence_models_of
from testbudget.scheduler.job import Job
from testbudget.scheduler.job_file import load_job
from testbudget.scheduler.picks import Pick, picks
from testbudget.traces.output_tables import read_outputs
from testbudget.traces.pair_reasons import PairReasons
from testbudget.traces.reason_tables import read_reasons
from testbudget.traces.records import Cost, execution_cost, generation_cost
from testbudget.traces.run_info import RunInfo, read_run_info
from testbudget.traces.run_tables import (
    AssessmentRecord,
    GrantRecord,
    PoolRecord,
    WorkRecord,
    read_run_table,
)
from testbudget.traces.tables import read_trace
from testbudget.traces.trace import Trace

PICKS_FILE = "picks.jsonl"
"""Name of the file of picks in a run directory."""


@dataclass(frozen=True)
class FinishedRun:
    """A finished run: its tables, and its picks made again with their evidence.

    Attributes:
        name: name of the run, unique on its page.
        directory: run directory.
        job: the resolved job.
        trace: candidates, tests and verdicts.
        outputs: recorded outputs by problem id.
        reasons: reasons of the verdicts by problem id.
        picks: picks by problem id; a problem without candidates has none.
        confidence_models: models behind ``p_correct``.
        info: facts about the run; None if it has no ``run.json``.
        grants, assessments, pools, work: tables of its course; empty if it has none.
    """

    name: str
    directory: Path
    job: Job
    trace: Trace
    outputs: Mapping[str, RecordedOutputs]
    reasons: Mapping[str, PairReasons]
    picks: Mapping[str, Pick]
    confidence_models: ConfidenceModels
    info: RunInfo | None
    grants: list[GrantRecord]
    assessments: list[AssessmentRecord]
    pools: list[PoolRecord]
    work: list[WorkRecord]

    @property
    def rule(self) -> SelectionRule:
        """Selection rule of the run."""
        return selection_rule(self.job.selection)

    @cached_property
    def texts(self) -> Mapping[str, Problem]:
        """Problems with their texts by id; empty if the run does not hold them and their source is gone."""
        try:
            return {problem.id: problem for problem in self.trace.texts()}
        except UserError:
            return {id_: seen.problem for id_, seen in self.trace.problems.items() if seen.problem}

    @cached_property
    def _groups(self) -> dict[str, NDArray[np.intp]]:
        return {}

    def groups(self, problem: str) -> NDArray[np.intp]:
        """Output group of each distinct program of a problem with recorded outputs."""
        if problem not in self._groups:
            self._groups[problem] = output_groups(self.outputs[problem])
        return self._groups[problem]

    @cached_property
    def costs_of_tests(self) -> Mapping[str, Mapping[int, tuple[Cost, bool]]]:
        """Cost of each test, and True if it votes, by problem id and index; read in one pass."""
        return {
            problem: {
                index: (
                    generation_cost(record)
                    + (execution_cost(seen.verdicts[index]) if index in seen.verdicts else Cost()),
                    index in seen.verdicts,
                )
                for index, record in seen.tests.items()
            }
            for problem, seen in self.trace.problems.items()
        }

    @cached_property
    def closed_because(self) -> Mapping[str, str | None]:
        """Reason why each problem got no more tests, by problem id, as in ``picks.jsonl``."""
        try:
            lines = (self.directory / PICKS_FILE).read_text(encoding="utf-8").splitlines()
            return {row["problem"]: row.get("closed_because") for row in map(json.loads, lines)}
        except (OSError, ValueError, KeyError):
            return {}  # an imported run has no picks


def read_finished_run(directory: Path, name: str = "") -> FinishedRun:
    """Read a finished run.

    Args:
        directory: run directory.
        name: name on the page; that of the directory if empty.

    Raises:
        UserError: the directory holds no finished run.
    """
    trace = read_trace(directory)
    job = load_job(directory / "job.yaml")
    outputs, models = read_outputs(directory), confidence_models_of(directory)
    made = picks(job, trace, outputs.get, models, keep_evidence=True)
    return FinishedRun(
        name or directory.resolve().name,
        directory,
        job,
        trace,
        outputs,
        read_reasons(directory),
        {pick.problem: pick for pick in made},
        models,
        read_run_info(directory),
        read_run_table(GrantRecord, directory),
        read_run_table(AssessmentRecord, directory),
        read_run_table(PoolRecord, directory),
        read_run_table(WorkRecord, directory),
    )


def run_names(directories: list[Path]) -> list[str]:
    """Names of runs that are shown together: the shortest ends of their paths that differ."""
    parts = [directory.resolve().parts for directory in directories]
    depth = 1
    while depth < max(map(len, parts), default=1) and len({part[-depth:] for part in parts}) < len(parts):
        depth += 1
    names = ["/".join(part[-depth:]) for part in parts]
    return [
        f"{name} ({names[:k].count(name) + 1})" if names[:k].count(name) else name
        for k, name in enumerate(names)
    ]

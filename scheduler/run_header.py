"""Header of a run's log: the job that the run began with, and what the core's decisions depend on."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from testbudget.rewards.errors import UserError
from testbudget.rewards.problem import Problem
from testbudget.scheduler.assessment import check_points
from testbudget.scheduler.backends.base import Backend
from testbudget.scheduler.cap_check import executions_per_pair, inputs_per_program, inputs_price
from testbudget.scheduler.core.events import Cap, RunStarted
from testbudget.scheduler.event_log import Entry, EventLog, Note
from testbudget.scheduler.job import Job
from testbudget.scheduler.job_file import changed_fields, job_fields
from testbudget.scheduler.window import window_and_quantum
from testbudget.traces.trace import Trace

_UNLIMITED = 2**31 - 1  # tests of a problem
_JOB = "job"  # kind of the note that holds the fields of the job
_RAY_CACHE = re.compile(r"^.*/working_dir_files/_ray_pkg_[0-9a-f]+/")


def header_of(
    job: Job,
    problems: Sequence[Problem],
    log: EventLog,
    cap: Cap,
    backend: Backend,
    recording: Trace | None,
) -> RunStarted:
    """The header in the log; it is written first if the run is new.

    Args:
        job: the job.
        problems: its problems.
        log: log of the run.
        cap: limits and prices of the job.
        backend: back end of the run.
        recording: finished run whose tests are taken; None if a model generates them.
    """
    for entry in log.entries(["RunStarted"]):
        assert isinstance(entry.event, RunStarted)
        return entry.event
    most = job.policy.max_tests or _UNLIMITED
    available = (backend.tests_available(problem) for problem in problems)
    window, quantum = window_and_quantum(job, len(problems))
    per_pair = executions_per_pair(job, problems, recording)
    inputs = inputs_per_program(job, problems, recording)
    started = RunStarted(
        len(problems),
        job.seed,
        cap,
        np.array([most if tests is None else min(most, tests) for tests in available], np.int64),
        job.policy.min_tests,
        window,
        quantum,
        checks=check_points() if job.policy.stop_when_harmful else (),
        executions_per_pair=per_pair,
        inputs=inputs,
        inputs_price=inputs_price(job, inputs, per_pair, recording),
    )
    log.append([Entry(Note(_JOB, {"fields": job_fields(job)}), 0.0), Entry(started, 0.0)])
    return started


def check_unchanged(job: Job, log: EventLog, directory: Path) -> None:
    """Refuse to continue a run with another job than it began with.

    The section ``cluster`` may change: it says where a run works, not what it does. So may the folder into
    which Ray unpacks the working directory of a job that is submitted again.

    Raises:
        UserError: the job is another one.
    """
    for entry in log.entries([_JOB]):
        assert isinstance(entry.event, Note)
        before, after = (_of_the_work(fields) for fields in (entry.event.values["fields"], job_fields(job)))
        if changed := changed_fields(before, after):
            said = [f"{name} was {_value(before, name)} and is {_value(after, name)}" for name in changed]
            raise UserError(
                f"{directory / 'job.yaml'} must be as the run began with it but {', '.join(said)}: restore "
                f"the file, or start its job anew with testbudget run {directory / 'job.yaml'} --out DIR"
            )


def _value(fields: Mapping[str, Any], name: str) -> str:
    """A field by its dotted name, as it is told."""
    value: Any = fields
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return "not set" if value is None else str(value)


def _of_the_work(fields: dict[str, Any]) -> dict[str, Any]:
    """Fields of a job that decide on its work, without the folders of Ray's cache."""
    return {name: _outside_cache(value) for name, value in fields.items() if name != "cluster"}


def _outside_cache(value: Any) -> Any:
    if isinstance(value, str):
        return _RAY_CACHE.sub("", value)
    if isinstance(value, dict):
        return {name: _outside_cache(inner) for name, inner in value.items()}
    return [_outside_cache(inner) for inner in value] if isinstance(value, list) else value

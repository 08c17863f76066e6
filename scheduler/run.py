"""One run from job to run directory: sources and models are read, the loop runs, results are written.

Back ends are imported when a job needs them, so that importing this module loads neither Ray nor torch.
"""

import dataclasses
import functools
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from testbudget.executors.execution.packages import find_packages
from testbudget.policies.base import Policy, PolicyContext
from testbudget.policies.registry import create_policy, policy_class
from testbudget.rewards.confidence.model import ConfidenceModels
from testbudget.rewards.errors import InfrastructureError, UserError, require_extra
from testbudget.rewards.problem import Problem
from testbudget.rewards.selection.registry import selection_rule
from testbudget.scheduler.assembly import RunMethods, RunSources, make_dispatcher
from testbudget.scheduler.assessment import EliminationRule, check_points
from testbudget.scheduler.backends.base import Backend, Report
from testbudget.scheduler.backends.recorded import RecordedBackend
from testbudget.scheduler.backends.registry import backend_class
from testbudget.scheduler.cap_check import (
    check_cap,
    check_min_tests,
    executions_per_pair,
    inputs_per_program,
    inputs_price,
)
from testbudget.scheduler.core.budget import Books, Budget
from testbudget.scheduler.core.events import Cap, Floats, RunStarted
from testbudget.scheduler.core.planner import Grants
from testbudget.scheduler.core.scheduler import Scheduler
from testbudget.scheduler.driver import Driver
from testbudget.scheduler.event_log import LOG_FILE, Entry, EventLog, Note
from testbudget.scheduler.evidence_store import EvidenceStore
from testbudget.scheduler.fitting.confidence import check_confidence_runs, confidence_models_for
from testbudget.scheduler.fitting.gain_models import check_gain_model_run, gain_models_for
from testbudget.scheduler.ground_truth_checks import check_ground_truths
from testbudget.scheduler.job import Job
from testbudget.scheduler.job_file import changed_fields, job_fields, load_job, save_job
from testbudget.scheduler.prompt_checks import check_prompts, generator_of_tests
from testbudget.scheduler.run_origins import models_of, sources_of
from testbudget.scheduler.run_problems import RunProblems
from testbudget.scheduler.run_results import write_results
from testbudget.scheduler.server_checks import check_servers
from testbudget.scheduler.truth_trials import BackendTrials
from testbudget.scheduler.window import window_and_quantum
from testbudget.scheduler.work.candidates import CandidateGenerator, recorded_candidates
from testbudget.scheduler.work.given_tests import given_as_code, given_tests
from testbudget.scheduler.work.hidden_states import recorded_states
from testbudget.scheduler.work.labels import recorded_labels
from testbudget.scheduler.work.prediction import Predictor
from testbudget.traces.files import check_place
from testbudget.traces.output_tables import read_outputs
from testbudget.traces.problems import load_problems
from testbudget.traces.reason_tables import read_reasons
from testbudget.traces.records import Cost
from testbudget.traces.run_info import RunInfo, read_run_info, write_run_info
from testbudget.traces.run_tables import GrantRecord
from testbudget.traces.tables import ReadTrace, read_trace
from testbudget.traces.trace import Trace

_UNLIMITED = 2**31 - 1  # tests of a problem
_JOB = "job"  # kind of the note that holds the fields of the job


@dataclass(frozen=True, slots=True, eq=False)
class RunStatus:
    """Progress of a run, for a display.

    Attributes:
        name: present phase, in words.
        problems: number of problems of the run.
        cap: limits of the run.
        store: records so far, for reading.
        seconds: the back end's clock, in seconds.
        scheduler: core of the run, for reading.
    """

    name: str
    problems: int
    cap: Cap
    store: EvidenceStore
    seconds: float
    scheduler: Scheduler

    @property
    def books(self) -> Books:
        """Amounts spent, lost, reserved and leased, by quantity."""
        return self.scheduler.books

    @property
    def prepared(self) -> int:
        """Number of problems that have their candidates and hidden states."""
        return int(self.scheduler.problems.prepared.sum())


Watch = Callable[[RunStatus], None]
"""Function that is called with the status of a run whenever it may have changed."""


def start_run(job: Job, directory: Path, watch: Watch = lambda _: None) -> Path:
    """Run a job into a new directory.

    The directory then holds ``job.yaml`` (the job with all defaults), ``log.sqlite`` (the event log), the
    Parquet tables of the run, ``run.json`` and ``picks.jsonl``.

    Args:
        job: the job.
        directory: run directory; its parents are created.
        watch: called with the status of the run again and again.

    Returns:
        The run directory.

    Raises:
        UserError: the directory exists, a package is missing, or the job cannot be run. The new directory
            and its new parents are removed, unless its log holds results of work.
        InfrastructureError: work failed, its retries included. ``resume_run`` continues the run.
    """
    if job.backend != "recorded":
        find_packages(job.execution.package_choice)
    problems = load_problems(job.problems.problem_source, job.problems.ids, job.problems.limit, tell=True)
    check_min_tests(job, len(problems))
    check_prompts(job, problems)
    check_servers(job)
    if not directory.exists():
        check_place(directory, directory=True)
    parents = [parent for parent in directory.parents if not parent.exists()]
    try:
        directory.mkdir(parents=True)
    except FileExistsError:
        raise UserError(
            f"{directory} exists. Resume its run with --resume {directory} or choose another directory."
        ) from None
    info = RunInfo.of_start(
        tuple(sys.argv), sources=sources_of(job), models=models_of(job), trust=job.execution.trust
    )
    try:
        with _writing(directory):
            save_job(job, directory / "job.yaml")
        _run(job, problems, directory, info, watch)
    except UserError:
        if not _holds_work(directory):
            shutil.rmtree(directory)
            _remove_empty(parents)
        raise
    return directory


def resume_run(directory: Path, watch: Watch = lambda _: None) -> Path:
    """Continue a run that was stopped or killed. A finished run only writes its results again.

    Args:
        directory: run directory.
        watch: called with the status of the run again and again.

    Returns:
        The run directory.

    Raises:
        UserError: the directory holds no run, or one of another schema version; its job was changed; or
            another process is running it.
        InfrastructureError: as ``start_run``.
    """
    if not directory.exists():
        raise UserError(f"{directory} must be a run that was started but there is no such directory")
    if not (directory / LOG_FILE).exists():
        raise UserError(
            f"{directory} must be a run that was started but it has no {LOG_FILE}; start its job with "
            f"testbudget run {directory / 'job.yaml'} --out DIR"
        )
    job = load_job(directory / "job.yaml")
    problems = load_problems(job.problems.problem_source, job.problems.ids, job.problems.limit)
    known = read_run_info(directory)
    info = RunInfo.of_start(tuple(sys.argv)) if known is None else known.resumed()
    _run(job, problems, directory, info, watch)
    return directory


def _remove_empty(directories: Sequence[Path]) -> None:
    """Remove directories, innermost first, up to one that holds anything."""
    for directory in directories:
        try:
            directory.rmdir()
        except OSError:  # another run has begun beside this one
            return


def _run(job: Job, problems: Sequence[Problem], directory: Path, info: RunInfo, watch: Watch) -> None:
    read = functools.cache(read_trace)
    predictor = Predictor.of(job, read)
    check_gain_model_run(job, read)
    check_confidence_runs(job, read)
    recording = read(job.tests.from_run) if job.tests.from_run else None
    # What is looked up can be looked up again.
    with EventLog(directory / LOG_FILE, durable=job.backend != "recorded") as log:
        _check_unchanged(job, log, directory)
        with _writing(directory):
            write_run_info(info, directory)
        run_problems = RunProblems(problems, EvidenceStore(log))
        if job.tests.from_file is not None:
            recording = given_tests(job.tests.from_file, problems, run_problems.store, job.tests.fields)
        sources = _sources(job, run_problems, read)
        if not log.last_seq:
            states_cost = sources.states.cost if sources.states else Cost()
            check_cap(job, problems, sources.candidates, states_cost, recording)
        confidence_models = confidence_models_for(job, read, directory)
        gain_models = gain_models_for(job, problems, confidence_models, read, directory)
        grants: list[GrantRecord] = []
        cap = Cap(job.cap.limits, job.unit_prices)
        metered = Budget(cap).meters
        with _backend(job, problems, recording, metered=metered) as backend:
            # It starts a runner for a moment, for which a core is free only before the other runners start.
            isolation = [
                f"{language} {backend.isolation(language)}"
                for language in sorted({problem.language for problem in problems})
            ]
            early: Sequence[Report] = ()
            if not log.last_seq and job.backend != "recorded" and job.problems.check_ground_truth:
                trials = BackendTrials(backend)
                check_ground_truths(problems, trials.run)
                trials.end()
                early = trials.reports
            started = _header(job, problems, log, cap, backend, recording)

            def policy(pass_rates: Floats) -> Policy:
                rates = None if predictor is None else pass_rates
                context = PolicyContext(len(problems), job.seed, started.max_tests, rates, gain_models)
                return create_policy(job.policy.name, context)

            scheduler = Scheduler(
                started,
                policy,
                needs_all="pass_rates" in policy_class(job.policy.name).needs,
                extracts=job.hidden_states is not None,
                on_grant=lambda made: grants.extend(_grant_records(made, problems, driver.now)),
            )
            methods = _methods(job, predictor, confidence_models, recording, metered=metered)
            dispatcher = make_dispatcher(run_problems, backend, sources, methods)
            driver = Driver(scheduler, log, run_problems.store, backend, dispatcher)

            def report(name: str) -> None:
                status = RunStatus(name, len(problems), cap, run_problems.store, backend.seconds, scheduler)
                watch(status)

            for sentence in isolation:
                report(sentence)
            report("preparation")
            driver.run_loop(lambda: report("tests" if grants else "preparation"), early)
            report("results")
            with _writing(directory):
                write_results(job, directory, log, run_problems, scheduler, grants, confidence_models, info)
            report("done")


@contextmanager
def _writing(directory: Path) -> Iterator[None]:
    """Context in which files of a run directory are written; a failure is one sentence."""
    try:
        yield
    except OSError as error:
        raise InfrastructureError(
            f"{directory} cannot be written: {error.strerror or error}. Nothing is lost: continue with "
            f"testbudget run --resume {directory}"
        ) from error


def _sources(job: Job, problems: RunProblems, read: ReadTrace) -> RunSources:
    """Sources of the run, as far as its log does not hold already what is in them."""
    store = problems.store
    without = [problem for problem in problems.problems if not store.candidates_of(problem.id)]
    all_extracted = all(problem.id in store.states for problem in problems.problems)
    return RunSources(
        recorded_candidates(job, without, read),
        None if all_extracted else recorded_states(job, problems.problems, read),
        recorded_labels(job, problems.problems, read),
    )


def _backend(job: Job, problems: Sequence[Problem], recording: Trace | None, *, metered: bool) -> Backend:
    if job.backend == "recorded":
        assert recording is not None
        outputs = read_outputs(recording.directory) if job.execution.record_outputs else {}
        return RecordedBackend(
            recording,
            problems,
            runners=job.execution.runners or 1,
            metered=metered,
            outputs_by_problem=outputs,
            reasons_by_problem=read_reasons(recording.directory),
        )
    for problem in problems:
        if recording is not None:
            recording.problem(problem)
    with require_extra("cluster", f"backend {job.backend}"):
        make: Any = backend_class(job.backend)
    backend: Backend = make(job, recording, metered=metered)
    return backend


def _header(
    job: Job,
    problems: Sequence[Problem],
    log: EventLog,
    cap: Cap,
    backend: Backend,
    recording: Trace | None,
) -> RunStarted:
    """The header in the log; it is written first if the run is new."""
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


def _check_unchanged(job: Job, log: EventLog, directory: Path) -> None:
    """Refuse to continue a run with another job than it began with."""
    for entry in log.entries([_JOB]):
        assert isinstance(entry.event, Note)
        if changed := changed_fields(entry.event.values["fields"], job_fields(job)):
            raise UserError(
                f"{directory / 'job.yaml'} must be as the run began with it but {', '.join(changed)} "
                f"differ: restore the file, or start its job anew with testbudget run "
                f"{directory / 'job.yaml'} --out DIR"
            )


def _methods(
    job: Job,
    predictor: Predictor | None,
    confidence_models: ConfidenceModels,
    recording: Trace | None,
    *,
    metered: bool,
) -> RunMethods:
    rule = selection_rule(job.selection)
    return RunMethods(
        dataclasses.replace(generator_of_tests(job), given=given_as_code(recording)),
        rule,
        confidence_models,
        EliminationRule(rule, job.elimination.z) if job.eliminates else None,
        job.policy.stop_when_harmful,
        CandidateGenerator.of(job),
        predictor,
        job.execution.record_outputs,
        job.execution.input_mutations,
        metered,
    )


def _grant_records(made: Grants, problems: Sequence[Problem], time: float) -> Iterator[GrantRecord]:
    columns = (made.tasks, made.problems, made.first, made.tests, made.values)
    for row, (task, position, first, tests, value) in enumerate(
        zip(*map(np.ndarray.tolist, columns), strict=True)
    ):
        terms = {name: float(of_grants[row]) for name, of_grants in made.terms.items()}
        yield GrantRecord(task, problems[position].id, first, tests, time, value, terms)


def _holds_work(directory: Path) -> bool:
    """True if the log holds results of work, which would be lost with the directory."""
    if not (directory / LOG_FILE).exists():
        return False
    with EventLog(directory / LOG_FILE) as log:
        return any(
            getattr(record, "piece", None) is not None
            for entry in log.entries(outputs=False)
            for record in entry.records
        )

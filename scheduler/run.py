"""One run from job to run directory: sources and models are read, the loop runs, results are written.

Back ends are imported when a job needs them, so that importing this module loads neither Ray nor torch.
"""

import dataclasses
import functools
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from testbudget.executors.execution.packages import find_packages
from testbudget.policies.base import Policy, PolicyContext
from testbudget.policies.registry import create_policy, policy_class
from testbudget.rewards.confidence.change import ChangeModel
from testbudget.rewards.confidence.model import ConfidenceModels
from testbudget.rewards.errors import InfrastructureError, UserError, fields_of, require_extra
from testbudget.rewards.problem import Problem
from testbudget.rewards.selection.registry import selection_rule
from testbudget.scheduler.assembly import RunMethods, RunSources, make_dispatcher
from testbudget.scheduler.assessment import EliminationRule
from testbudget.scheduler.backends.base import Backend, Report
from testbudget.scheduler.backends.recorded import RecordedBackend
from testbudget.scheduler.backends.registry import backend_class
from testbudget.scheduler.cap_check import check_cap, check_min_tests
from testbudget.scheduler.core.budget import Budget
from testbudget.scheduler.core.events import Cap, Floats, WorkerKind
from testbudget.scheduler.core.scheduler import Scheduler
from testbudget.scheduler.driver import Driver
from testbudget.scheduler.event_log import LOG_FILE, EventLog
from testbudget.scheduler.evidence_store import EvidenceStore
from testbudget.scheduler.fitting.change import change_model_for, check_change_runs
from testbudget.scheduler.fitting.confidence import check_confidence_runs, confidence_models_for
from testbudget.scheduler.fitting.gain_models import check_gain_model_run, gain_models_for
from testbudget.scheduler.ground_truth_checks import check_ground_truths
from testbudget.scheduler.job import Job
from testbudget.scheduler.job_file import load_job, save_job
from testbudget.scheduler.job_problems import problems_of_job
from testbudget.scheduler.live_run import Gauges, LiveRun
from testbudget.scheduler.log_tables import grant_records
from testbudget.scheduler.object_run import ObjectRun, is_claimed, new_object_run, taken_object_run
from testbudget.scheduler.prompt_checks import check_prompts, generator_of_tests
from testbudget.scheduler.run_directory import check_started, holds_work, make_directory, remove_empty
from testbudget.scheduler.run_header import check_unchanged, header_of
from testbudget.scheduler.run_origins import models_of, sources_of
from testbudget.scheduler.run_problems import RunProblems
from testbudget.scheduler.run_results import write_results
from testbudget.scheduler.run_status import Watch
from testbudget.scheduler.server_checks import check_servers
from testbudget.scheduler.start_stages import tell_stage
from testbudget.scheduler.truth_trials import BackendTrials
from testbudget.scheduler.work.candidates import CandidateGenerator, recorded_candidates
from testbudget.scheduler.work.given_tests import given_tests, kept_tests
from testbudget.scheduler.work.hidden_states import recorded_states
from testbudget.scheduler.work.labels import recorded_labels
from testbudget.scheduler.work.prediction import Predictor
from testbudget.traces.output_tables import read_outputs
from testbudget.traces.reason_tables import read_reasons
from testbudget.traces.records import Cost
from testbudget.traces.run_info import RunInfo, read_run_info, write_run_info
from testbudget.traces.run_place import is_url
from testbudget.traces.run_tables import GrantRecord, RunTableWriter
from testbudget.traces.tables import ReadTrace, read_trace
from testbudget.traces.trace import Trace


def start_run(
    job: Job, target: Path | str, watch: Watch = lambda _: None, *, or_resume: bool = False
) -> Path:
    """Run a job into a new directory.

    The directory then holds ``job.yaml`` (the job with all defaults), ``log.sqlite`` (the event log), the
    Parquet tables of the run, ``run.json``, ``status.json`` and ``picks.jsonl``.

    Args:
        job: the job.
        target: run directory, whose parents are created; or its URL on object storage.
        watch: called with the status of the run again and again.
        or_resume: True continues a run of the same job that is there and has not finished.

    Returns:
        The run directory; for a URL, the folder of this machine that the run worked in.

    Raises:
        UserError: the directory exists, a package is missing, or the job cannot be run. The new directory
            and its new parents are removed, unless its log holds results of work.
        InfrastructureError: work failed, its retries included. ``resume_run`` continues the run.
    """
    if or_resume and holds_run(target):
        return resume_run(target, watch, job=job)
    if job.backend != "recorded":
        with fields_of("execution"):
            find_packages(job.execution.package_choice)
    tell_stage("reading the problems")
    problems = problems_of_job(job.problems, tell=True)
    check_min_tests(job, len(problems))
    check_prompts(job, problems)
    check_servers(job)
    object_run = new_object_run(str(target)) if is_url(target) else None
    directory = object_run.directory if object_run else Path(target)
    parents = [parent for parent in directory.parents if not parent.exists()]
    if object_run is None:
        make_directory(directory)
    info = RunInfo.of_start(
        tuple(sys.argv), sources=sources_of(job), models=models_of(job), trust=job.execution.trust
    )
    try:
        with _writing(directory):
            save_job(job, directory / "job.yaml")
        _run(job, problems, directory, info, watch, object_run)
    except UserError:
        if not holds_work(directory):
            shutil.rmtree(directory)
            remove_empty(parents)
            if object_run is not None:
                object_run.withdraw()
        raise
    return directory


def holds_run(target: Path | str) -> bool:
    """True if a run was started in a directory, or at a URL.

    Raises:
        UserError: the URL cannot be read.
    """
    return is_claimed(str(target)) if is_url(target) else (Path(target) / LOG_FILE).exists()


def resume_run(
    target: Path | str,
    watch: Watch = lambda _: None,
    *,
    job: Job | None = None,
    limits: Mapping[str, float] | None = None,
) -> Path:
    """Continue a run that was stopped or killed. A finished run only writes its results again.

    Args:
        target: run directory, or its URL.
        watch: called with the status of the run again and again.
        job: the job, submitted again: paths and cluster are taken from it, and a finished run is refused.
            None reads it from the directory.
        limits: new limits of the cap by quantity; None for those that the run has.

    Returns:
        The run directory; for a URL, the folder of this machine that the run worked in.

    Raises:
        UserError: the directory holds no run, or one of another schema version; its job was changed; or
            another process is running it.
        InfrastructureError: as ``start_run``.
    """
    object_run = taken_object_run(str(target), again=job is not None) if is_url(target) else None
    directory = object_run.directory if object_run else Path(target)
    if object_run is None:
        check_started(directory)
    known = read_run_info(directory)
    if job is not None and known is not None and known.finished:
        raise UserError(
            f"{target} holds the finished run of this job. Look at it with testbudget status {target} or "
            "choose another --out."
        )
    if limits and known is not None and known.finished:
        raise UserError(
            f"{target} is finished, so its cap cannot change: start another run with its candidates and "
            f"tests (candidates.from_run: {target}, tests.from_run: {target})"
        )
    job = load_job(directory / "job.yaml") if job is None else job
    tell_stage("reading the problems")
    problems = problems_of_job(job.problems)
    info = RunInfo.of_start(tuple(sys.argv)) if known is None else known.resumed()
    _run(job, problems, directory, info, watch, object_run, limits)
    return directory


def _run(
    job: Job,
    problems: Sequence[Problem],
    directory: Path,
    info: RunInfo,
    watch: Watch,
    object_run: ObjectRun | None,
    limits: Mapping[str, float] | None = None,
) -> None:
    read = functools.cache(read_trace)
    predictor = Predictor.of(job, read)
    check_gain_model_run(job, read)
    check_change_runs(job, read)
    check_confidence_runs(job, read)
    recording = read(job.tests.from_run) if job.tests.from_run else None
    # What is looked up can be looked up again.
    with EventLog(directory / LOG_FILE, durable=job.backend != "recorded") as log:
        check_unchanged(job, log, directory)
        with _writing(directory):
            save_job(job, directory / "job.yaml")
            write_run_info(info, directory)
        if object_run is not None:
            object_run.upload()
        run_problems = RunProblems(problems, EvidenceStore(log))
        if job.tests.from_file is not None:
            recording = given_tests(job.tests.from_file, problems, run_problems.store, job.tests.fields)
        sources = _sources(job, run_problems, read)
        if not log.last_seq:
            states_cost = sources.states.cost if sources.states else Cost()
            check_cap(job, problems, sources.candidates, states_cost, recording)
        confidence_models = confidence_models_for(job, read, directory)
        gain_models = gain_models_for(job, problems, confidence_models, read, directory)
        cap = Cap(job.cap.limits, job.unit_prices)
        metered = Budget(cap).meters
        with (
            _backend(job, problems, recording, metered=metered, run=info.run) as backend,
            ExitStack() as writing,
        ):
            grants = writing.enter_context(RunTableWriter(GrantRecord, directory))
            isolation = _isolation(backend, problems)
            early = _early_reports(job, problems, log, backend)
            started = header_of(job, problems, log, cap, backend, recording)

            def policy(pass_rates: Floats) -> Policy:
                rates = None if predictor is None else pass_rates
                context = PolicyContext(len(problems), job.seed, started.max_tests, rates, gain_models)
                return create_policy(job.policy.name, context)

            scheduler = Scheduler(
                started,
                policy,
                needs_all="pass_rates" in policy_class(job.policy.name).needs,
                extracts=job.hidden_states is not None,
                on_grant=lambda made: grants.add_all(grant_records(made, problems, driver.now)),
            )
            change_model = change_model_for(job, read, directory)
            methods = _methods(job, predictor, confidence_models, change_model, recording, metered=metered)
            dispatcher = make_dispatcher(run_problems, backend, sources, methods)
            gauges = _gauges_of(job, info.run)
            with LiveRun(
                directory, info.run, scheduler, backend, watch, cap.prices, object_run, gauges, limits
            ) as live:
                driver = Driver(scheduler, log, run_problems.store, backend, dispatcher, live)
                for sentence in [*isolation, *filter(None, [log.remark])]:
                    live.report(sentence)
                live.report("preparation")
                driver.run_loop(lambda: live.report("tests" if grants else "preparation"), early)
                for kind in WorkerKind:  # nobody waits for tables
                    backend.retire(kind)
                live.report("results")
                with _writing(directory):
                    writing.close()
                    write_results(job, directory, log, run_problems, scheduler, confidence_models, info)
                if object_run is not None:
                    object_run.upload()
                live.report("done")


def _isolation(backend: Backend, problems: Sequence[Problem]) -> list[str]:
    """Sentences on the sandboxes of each language.

    A runner is started for a moment, for which a core is free only before the other runners start.
    """
    languages = sorted({problem.language for problem in problems})
    return [f"{language} {backend.isolation(language)}" for language in languages]


def _early_reports(
    job: Job, problems: Sequence[Problem], log: EventLog, backend: Backend
) -> Sequence[Report]:
    """Check the ground truths of a new run; reports of the workers that did so."""
    if log.last_seq or job.backend == "recorded" or not job.problems.check_ground_truth:
        return ()
    tell_stage("checking the ground truths")
    trials = BackendTrials(backend)
    check_ground_truths(problems, trials.run)
    trials.end()
    return trials.reports


def _gauges_of(job: Job, run: str) -> Gauges | None:
    """Export of a run's status as metrics of its Ray cluster; None on another back end."""
    if job.backend != "ray":
        return None
    make: Any = import_module("testbudget.scheduler.backends.ray_metrics").RayMetrics
    gauges: Gauges = make(run)
    return gauges


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
    tell_stage("reading candidates, tests and models")
    store = problems.store
    without = [problem for problem in problems.problems if not store.is_sampled(problem.id)]
    all_extracted = all(problem.id in store.states for problem in problems.problems)
    return RunSources(
        recorded_candidates(job, without, read),
        None if all_extracted else recorded_states(job, problems.problems, read),
        recorded_labels(job, problems.problems, read),
    )


def _backend(
    job: Job, problems: Sequence[Problem], recording: Trace | None, *, metered: bool, run: str
) -> Backend:
    tell_stage("starting workers")
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
    named = {"run_id": run} if job.backend == "ray" else {}
    backend: Backend = make(job, recording, metered=metered, **named)
    return backend


def _methods(
    job: Job,
    predictor: Predictor | None,
    confidence_models: ConfidenceModels,
    change_model: ChangeModel,
    recording: Trace | None,
    *,
    metered: bool,
) -> RunMethods:
    rule = selection_rule(job.selection)
    return RunMethods(
        dataclasses.replace(
            generator_of_tests(job), given=kept_tests(recording, with_verdicts=job.backend == "recorded")
        ),
        rule,
        confidence_models,
        EliminationRule(rule, job.elimination.z) if job.eliminates else None,
        job.policy.stop_when_harmful,
        CandidateGenerator.of(job),
        predictor,
        job.execution.record_outputs,
        job.execution.input_mutations,
        metered,
        change_model,
    )

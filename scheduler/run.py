"""One run from job to run directory: prepare, run the loop under the cap, write tables and picks.

Back ends are imported when a job needs them, so that importing this module loads neither Ray nor torch.
"""

import functools
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from testbudget.executors.generation.prompts import prompt_template
from testbudget.executors.generation.unit_tests import UnitTestGenerator
from testbudget.policies.registry import create_policy
from testbudget.rewards.errors import UserError, require_extra
from testbudget.rewards.problem import Problem
from testbudget.rewards.selection.registry import selection_rule
from testbudget.scheduler.assessment import EliminationRule, HarmStop, PickConfidence
from testbudget.scheduler.backends.base import Backend
from testbudget.scheduler.backends.recorded import RecordedBackend
from testbudget.scheduler.budget import Budget, Cap
from testbudget.scheduler.event_log import LOG_FILE, EventLog
from testbudget.scheduler.fitting.confidence import check_confidence_runs, fit_confidence
from testbudget.scheduler.fitting.gain_models import check_gain_model_run, gain_models_for
from testbudget.scheduler.job import Job
from testbudget.scheduler.job_file import load_job, save_job
from testbudget.scheduler.loop import Loop, spent
from testbudget.scheduler.picks import picks, write_picks
from testbudget.scheduler.preparation.candidates import (
    sample_candidates,
    take_candidates,
)
from testbudget.scheduler.preparation.hidden_states import (
    check_predictor,
    extract_hidden_states,
    hidden_states_of,
    predicted_pass_rates,
    take_hidden_states,
)
from testbudget.scheduler.preparation.labels import label_candidates, take_labels
from testbudget.traces.files import check_place
from testbudget.traces.output_tables import read_outputs, write_outputs
from testbudget.traces.problems import load_problems
from testbudget.traces.records import Cost, ProblemCandidates, extraction_cost
from testbudget.traces.tables import ReadTrace, read_trace, write_trace
from testbudget.traces.trace import ProblemTrace, Trace

_UNLIMITED = 2**31 - 1  # tests of a problem


@dataclass(frozen=True, slots=True)
class RunStatus:
    """Progress of a run, for a display.

    Attributes:
        name: the current phase, in words.
        problems: number of problems of the run.
        event_log: for reading.
        budget: spending so far; None before the first test.
        seconds: the back end's clock, in seconds.
    """

    name: str
    problems: int
    event_log: EventLog
    budget: Budget | None
    seconds: float


def start_run(job: Job, directory: Path, watch: Callable[[RunStatus], None] = lambda _: None) -> Path:
    """Run a job into a new directory.

    The directory then holds ``job.yaml`` (the job with all defaults), ``log.sqlite`` (the event log), the
    Parquet tables of the run and ``picks.jsonl``.

    Args:
        job: the job.
        directory: run directory; its parents are created.
        watch: called with the status of the run whenever it changes.

    Returns:
        The run directory.

    Raises:
        UserError: the directory exists, or the job cannot be run. The new directory is removed, unless its
            log holds output of a model.
        InfrastructureError: work failed, its retries included. ``resume_run`` continues the run.
    """
    problems = load_problems(job.problems.source, job.problems.ids, job.problems.limit)
    _check_cap(job, problems)
    if not directory.exists():
        check_place(directory, directory=True)
    try:
        directory.mkdir(parents=True)
    except FileExistsError:
        raise UserError(
            f"{directory} exists. Resume its run with --resume {directory} or choose another directory."
        ) from None
    save_job(job, directory / "job.yaml")
    try:
        _run(job, problems, directory, watch)
    except UserError:
        if not _holds_work(job, directory):
            shutil.rmtree(directory)
        raise
    return directory


def resume_run(directory: Path, watch: Callable[[RunStatus], None] = lambda _: None) -> Path:
    """Continue a run that was stopped or killed. A finished run only writes its tables and picks again.

    Args:
        directory: run directory.
        watch: called with the status of the run whenever it changes.

    Returns:
        The run directory.

    Raises:
        UserError: the directory holds no run, or one of another schema version, or another process is
            running it.
        InfrastructureError: as ``start_run``.
    """
    if not (directory / LOG_FILE).exists():
        raise UserError(
            f"{directory} must be a run that was started but it has no {LOG_FILE}; start its job with "
            f"testbudget run {directory / 'job.yaml'} --out DIR"
        )
    job = load_job(directory / "job.yaml")
    problems = load_problems(job.problems.source, job.problems.ids, job.problems.limit)
    _run(job, problems, directory, watch)
    return directory


def _run(
    job: Job, problems: Sequence[Problem], directory: Path, watch: Callable[[RunStatus], None]
) -> None:
    read = functools.cache(read_trace)
    check_predictor(job, read)
    check_gain_model_run(job, read)
    check_confidence_runs(job, read)
    with EventLog(directory / LOG_FILE) as event_log:
        take_candidates(job, problems, event_log, read)
        backend = _backend(job, problems, read)
        try:
            _prepare_and_run(job, problems, directory, event_log, backend, watch, read)
        finally:
            backend.close()


def _holds_work(job: Job, directory: Path) -> bool:
    """True if the log holds output of a model, which would be lost with the directory."""
    with EventLog(directory / LOG_FILE) as event_log:
        sampled = job.candidates.model is not None and any(event_log.candidates.values())
        extracted = job.hidden_states and job.hidden_states.base_model and event_log.states
        return bool(sampled or extracted or any(event_log.tests.values()))


def _prepare_and_run(
    job: Job,
    problems: Sequence[Problem],
    directory: Path,
    event_log: EventLog,
    backend: Backend,
    watch: Callable[[RunStatus], None],
    read: ReadTrace,
) -> None:
    def report(name: str, budget: Budget | None = None) -> None:
        watch(RunStatus(name, len(problems), event_log, budget, backend.seconds))

    report("candidates")
    sample_candidates(job, problems, backend, event_log, lambda: report("candidates"))
    items = [ProblemCandidates.of(problem, event_log.candidates_of(problem.id)) for problem in problems]
    report("hidden states")
    budget = Budget(Cap(job.cap.limits, job.cap.unit_prices), spent(event_log))
    # Before the first sandbox starts: sandboxes hold their CPU cores until the end.
    take_hidden_states(job, problems, budget, event_log, read)
    extract_hidden_states(job, problems, backend, budget, event_log, lambda: report("hidden states"))
    states = hidden_states_of(problems, event_log)
    for language in sorted({problem.language for problem in problems}):
        report(f"{language} {backend.isolation(language)}")
    take_labels(job, items, event_log, read)
    label_candidates(items, backend, event_log)
    report("predictions")
    pass_rates = predicted_pass_rates(job, problems, states, read)
    confidence_models = fit_confidence(job, read, directory)
    gain_models = gain_models_for(job, problems, confidence_models, read)
    max_tests = _max_tests(job, problems, backend)
    rates = np.full(len(items), np.nan) if pass_rates is None else pass_rates
    policy = create_policy(
        job.policy.name,
        len(items),
        pass_rates=pass_rates,
        gain_models=gain_models,
        min_tests=job.policy.min_tests,
        max_tests=max_tests,
        seed=job.seed,
    )
    rule = selection_rule(job.selection)
    template = prompt_template(job.tests.model.template) if job.tests.model else None
    report("tests", budget)
    loop = Loop(
        items,
        policy,
        budget,
        event_log,
        backend,
        UnitTestGenerator(template, job.seed),
        lambda: report("tests", budget),
        pick_confidence=PickConfidence(items, event_log, rule, confidence_models),
        harm_stop=(
            HarmStop(items, event_log, rule, confidence_models, rates)
            if job.policy.stop_when_harmful
            else None
        ),
        elimination=EliminationRule(rule, job.elimination.z) if job.eliminates else None,
        record_outputs=job.execution.record_outputs,
        input_mutations=job.execution.input_mutations,
    )
    loop.run()
    traces = {
        item.problem.id: _problem_trace(item, event_log, rate)
        for item, rate in zip(items, rates.tolist(), strict=True)
    }
    trace = Trace(directory, traces, states, job.problems.source)
    write_trace(trace)
    recorded = ((problem.id, event_log.recorded_outputs_of(problem.id)) for problem in problems)
    write_outputs(((problem, found) for problem, found in recorded if found), directory)
    closed_because = [
        loop.closed_because(position, most) for position, most in enumerate(max_tests.tolist())
    ]
    made = picks(job, trace, event_log.recorded_outputs_of, confidence_models)
    write_picks(items, made, closed_because, directory / "picks.jsonl")
    report("done", budget)


def _check_cap(job: Job, problems: Sequence[Problem]) -> None:
    needed = job.policy.min_tests * len(problems)
    if job.cap.tests is not None and job.cap.tests < needed:
        raise UserError(
            f"cap.tests must be at least policy.min_tests per problem ({job.policy.min_tests} x "
            f"{len(problems)} problems = {needed}) but got {job.cap.tests}"
        )


def _backend(job: Job, problems: Sequence[Problem], read: ReadTrace) -> Backend:
    recording = read(job.tests.from_run) if job.tests.from_run else None
    if recording is not None:
        for problem in problems:
            recording.problem(problem)
    if job.backend == "ray":
        with require_extra("cluster", "backend ray"):
            from testbudget.scheduler.backends.ray import RayBackend
        return RayBackend(job, recording)
    assert recording is not None
    outputs_by_problem = read_outputs(recording.directory) if job.execution.record_outputs else {}
    return RecordedBackend(
        recording, problems, runners=job.execution.runners or 1, outputs_by_problem=outputs_by_problem
    )


def _max_tests(job: Job, problems: Sequence[Problem], backend: Backend) -> NDArray[np.int64]:
    """Tests that each problem may get at most, int64 (problems,)."""
    most = job.policy.max_tests or _UNLIMITED
    available = (backend.tests_available(problem) for problem in problems)
    return np.asarray([most if tests is None else min(most, tests) for tests in available], np.int64)


def _problem_trace(item: ProblemCandidates, event_log: EventLog, predicted: float) -> ProblemTrace:
    problem = item.problem
    return ProblemTrace(
        problem.content_hash,
        predicted,
        event_log.candidates_of(problem.id),
        event_log.labels.get(problem.id),
        event_log.tests[problem.id],
        event_log.verdicts[problem.id],
        extraction_cost(event_log.states[problem.id]) if event_log.states else Cost(),
    )

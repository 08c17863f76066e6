"""One run from job to run directory: prepare, loop under the cap, write what came out."""

import functools
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from testbudget.executors.generation.prompts import prompt_template
from testbudget.executors.generation.unit_tests import UnitTestGenerator
from testbudget.policies.base import Policy
from testbudget.policies.gain_model import GainModels
from testbudget.policies.registry import create_policy
from testbudget.rewards.confidence.model import ConfidenceModels
from testbudget.rewards.errors import UserError
from testbudget.rewards.problem import Problem
from testbudget.rewards.selection.registry import selection_rule
from testbudget.scheduler.assessment import EliminationRule, HarmStop, PickConfidence
from testbudget.scheduler.backends.base import Backend
from testbudget.scheduler.backends.ray import RayBackend
from testbudget.scheduler.backends.recorded import RecordedBackend
from testbudget.scheduler.budget import Budget
from testbudget.scheduler.fitting.confidence import check_confidence_runs, fit_confidence
from testbudget.scheduler.fitting.gain_models import check_gain_model_run, gain_models_for
from testbudget.scheduler.job import Job
from testbudget.scheduler.job_file import load_job, save_job
from testbudget.scheduler.log import EventLog
from testbudget.scheduler.loop import Loop, spent
from testbudget.scheduler.picks import picks, write_picks
from testbudget.scheduler.preparation.candidates import (
    label,
    recorded_labels,
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
from testbudget.traces.output_tables import read_outputs, write_outputs
from testbudget.traces.problems import load_problems
from testbudget.traces.records import Cost, ProblemCandidates, extraction_cost
from testbudget.traces.tables import ReadTrace, read_trace, write_trace
from testbudget.traces.trace import ProblemTrace, Trace

UNBOUNDED = 2**31 - 1


@dataclass(frozen=True, slots=True)
class RunStatus:
    """What a run is doing, for whoever watches it.

    Attributes:
        name: in words.
        problems: all of the run's.
        journal, ledger: to look at; the ledger is there from the first test on.
        seconds: the back end's clock.
    """

    name: str
    problems: int
    event_log: EventLog
    budget: Budget | None
    seconds: float


def start_run(job: Job, directory: Path, watch: Callable[[RunStatus], None]) -> None:
    """Runs a job into a new directory.

    Raises:
        UserError: the directory exists, or the job asks for what cannot be had; a directory that holds
            no work yet is removed again.
        InfrastructureError: something failed for good; ``resume_run`` goes on from there.
    """
    problems = load_problems(job.problems.source, job.problems.ids, job.problems.limit)
    _check_cap(job, problems)
    try:
        directory.mkdir(parents=True)
    except FileExistsError:
        raise UserError(
            f"{directory} must not exist yet; to go on with it, use --resume {directory}"
        ) from None
    save_job(job, directory / "job.yaml")
    try:
        _run(job, problems, directory, watch)
    except UserError:
        if not _holds_work(job, directory):
            shutil.rmtree(directory)
        raise


def resume_run(directory: Path, watch: Callable[[RunStatus], None]) -> None:
    """Goes on with a run that was stopped or killed; a finished one only has its outputs written again.

    Raises:
        UserError: the directory is no run, or another process is running it.
        InfrastructureError: as ``start_run``.
    """
    if not (directory / "journal.sqlite").exists():
        raise UserError(f"{directory} must be a run that was started but it has no journal")
    job = load_job(directory / "job.yaml")
    _run(job, load_problems(job.problems.source, job.problems.ids, job.problems.limit), directory, watch)


def _run(
    job: Job, problems: Sequence[Problem], directory: Path, watch: Callable[[RunStatus], None]
) -> None:
    read = functools.cache(read_trace)
    check_predictor(job, read)
    check_gain_model_run(job, read)
    check_confidence_runs(job, read)
    with EventLog(directory / "journal.sqlite") as event_log:
        take_candidates(job, problems, event_log, read)
        backend = _backend(job, problems, read)
        try:
            _solve(job, problems, directory, event_log, backend, watch, read)
        finally:
            backend.close()


def _holds_work(job: Job, directory: Path) -> bool:
    """Whether models have written anything that would be lost with the directory."""
    with EventLog(directory / "journal.sqlite") as event_log:
        sampled = job.candidates.model is not None and any(event_log.candidates.values())
        extracted = job.hidden_states and job.hidden_states.base_model and event_log.states
        return bool(sampled or extracted or any(event_log.tests.values()))


def _solve(
    job: Job,
    problems: Sequence[Problem],
    directory: Path,
    event_log: EventLog,
    backend: Backend,
    watch: Callable[[RunStatus], None],
    read: ReadTrace,
) -> None:
    def look(name: str, budget: Budget | None = None) -> None:
        watch(RunStatus(name, len(problems), event_log, budget, backend.seconds))

    look("candidates")
    sample_candidates(job, problems, backend, event_log, lambda: look("candidates"))
    solving = [ProblemCandidates.of(problem, event_log.candidates_of(problem.id)) for problem in problems]
    look("hidden states")
    budget = Budget(job.cap.as_cap(), spent(event_log))
    # Before the first sandbox starts: sandboxes hold their CPU cores until the end.
    take_hidden_states(job, problems, budget, event_log, read)
    extract_hidden_states(job, problems, backend, budget, event_log, lambda: look("hidden states"))
    states = hidden_states_of(problems, event_log)
    for language in sorted({problem.language for problem in problems}):
        look(f"{language} {backend.isolation(language)}")
    recorded_labels(job, solving, event_log, read)
    label(solving, backend, event_log)
    look("beliefs")
    pass_rates = predicted_pass_rates(job, problems, states, read)
    template = prompt_template(job.tests.model.template) if job.tests.model else None
    writer = UnitTestGenerator(template, job.seed)
    confidence_models = fit_confidence(job, read, directory)
    policy = _policy(
        job, solving, backend, pass_rates, gain_models_for(job, problems, confidence_models, read)
    )
    rule = selection_rule(job.selection)
    look("tests", budget)
    loop = Loop(
        solving,
        policy,
        budget,
        event_log,
        backend,
        writer,
        lambda: look("tests", budget),
        standing=PickConfidence(solving, event_log, rule, confidence_models),
        stopping=_stopping(job, solving, event_log, confidence_models, pass_rates),
        racing=EliminationRule(rule, job.elimination.z) if job.eliminates else None,
        record=job.execution.record_outputs,
        input_mutations=job.execution.input_mutations,
    )
    loop.run()
    trace = Trace(
        directory,
        {
            item.problem.id: _seen(item, event_log, np.nan if pass_rates is None else pass_rates[position])
            for position, item in enumerate(solving)
        },
        states,
    )
    write_trace(trace)
    recorded = ((problem.id, event_log.recorded_outputs_of(problem.id)) for problem in problems)
    write_outputs(((problem, found) for problem, found in recorded if found), directory)
    made = picks(job, trace, event_log.recorded_outputs_of, confidence_models)
    write_picks(solving, made, event_log.looks, directory / "picks.jsonl")
    look("done", budget)


def _check_cap(job: Job, problems: Sequence[Problem]) -> None:
    owed = job.policy.min_tests * len(problems)
    if job.cap.tests is not None and job.cap.tests < owed:
        raise UserError(
            f"cap.tests must be at least policy.min_tests per problem ({job.policy.min_tests} x "
            f"{len(problems)} problems = {owed}) but got {job.cap.tests}"
        )


def _backend(job: Job, problems: Sequence[Problem], read: ReadTrace) -> Backend:
    recording = read(job.tests.from_run) if job.tests.from_run else None
    if recording is not None:
        for problem in problems:
            recording.of(problem)
    if job.backend == "ray":
        return RayBackend(job, recording)
    assert recording is not None
    outputs_by_problem = read_outputs(recording.directory) if job.execution.record_outputs else {}
    return RecordedBackend(
        recording, problems, runners=job.execution.runners or 1, outputs_by_problem=outputs_by_problem
    )


def _policy(
    job: Job,
    solving: Sequence[ProblemCandidates],
    backend: Backend,
    pass_rates: NDArray[np.float64] | None,
    gain_models: GainModels | None,
) -> Policy:
    available = [backend.tests_available(item.problem) for item in solving]
    most = job.policy.max_tests or UNBOUNDED
    return create_policy(
        job.policy.name,
        len(solving),
        pass_rates=pass_rates,
        gain_models=gain_models,
        min_tests=job.policy.min_tests,
        max_tests=np.asarray([most if tests is None else min(most, tests) for tests in available]),
        seed=job.seed,
    )


def _stopping(
    job: Job,
    solving: Sequence[ProblemCandidates],
    event_log: EventLog,
    confidence_models: ConfidenceModels,
    pass_rates: NDArray[np.float64] | None,
) -> HarmStop | None:
    if not job.policy.stop_when_harmful:
        return None
    rates = np.full(len(solving), np.nan) if pass_rates is None else pass_rates
    return HarmStop(solving, event_log, selection_rule(job.selection), confidence_models, rates)


def _seen(item: ProblemCandidates, event_log: EventLog, predicted: float) -> ProblemTrace:
    problem = item.problem
    return ProblemTrace(
        problem.content_hash,
        float(predicted),
        event_log.candidates_of(problem.id),
        event_log.labels.get(problem.id),
        event_log.tests[problem.id],
        event_log.verdicts[problem.id],
        extraction_cost(event_log.states[problem.id]) if event_log.states else Cost(),
    )

"""Job files of the best choices, ready for ``testbudget run``."""

from collections.abc import Sequence
from pathlib import Path

from testbudget.analysis.tables import format_percent
from testbudget.analysis.tune.results import ChoiceScores, TunedChoice
from testbudget.analysis.tune.space import Choice
from testbudget.policies.registry import policy_class
from testbudget.rewards.errors import UserError
from testbudget.scheduler.job import Job
from testbudget.scheduler.job_file import job_text, load_job
from testbudget.scheduler.job_problems import problems_of_job
from testbudget.scheduler.sections.cap import CapSection
from testbudget.scheduler.sections.policy import PolicySection
from testbudget.scheduler.sections.predictions import HiddenStatesSection, PredictorSection
from testbudget.scheduler.sections.programs import CandidatesSection, TestsSection
from testbudget.traces.files import write_text
from testbudget.traces.trace import Trace


def job_of(choice: Choice, trace: Trace, seed: int) -> Job:
    """Job that runs a choice on the recorded problems, candidates and tests of a run.

    Raises:
        UserError: the run does not state the source of its problems.
    """
    run, kind = trace.directory.resolve(), policy_class(choice.policy)
    return Job(
        problems=load_job(run / "job.yaml").problems,
        candidates=CandidatesSection(from_run=run),
        tests=TestsSection(from_run=run),
        hidden_states=HiddenStatesSection(from_run=run) if "pass_rates" in kind.needs else None,
        predictor=PredictorSection(fit_from=[run]) if "pass_rates" in kind.needs else None,
        policy=PolicySection(
            name=choice.policy,
            gain_model_from=run if "gain_models" in kind.needs else None,
            min_tests=choice.min_tests,
            max_tests=choice.max_tests,
        ),
        selection=choice.selection,
        cap=CapSection(tests=round(choice.tests_per_problem * len(trace.problems))),
        backend="recorded",
        seed=seed,
    )


def write_jobs(
    chosen: Sequence[TunedChoice], trace: Trace, seed: int, folder: Path
) -> tuple[list[Path], str | None]:
    """Write ``job.yaml`` for one choice, or ``job-1.yaml``, ``job-2.yaml``, ...; remove older job files.

    Returns:
        The files, and a sentence about why they are missing or cannot be run; None if they can.
    """
    names = ["job.yaml"] if len(chosen) == 1 else [f"job-{k}.yaml" for k in range(1, len(chosen) + 1)]
    for old in {*folder.glob("job.yaml"), *folder.glob("job-*.yaml")} - {folder / name for name in names}:
        old.unlink()
    try:
        jobs = [job_of(tuned.choice, trace, seed) for tuned in chosen]
    except UserError as error:
        return [], f"no job file was written, because the source of its problems is unknown: {error}"
    for name, job, tuned in zip(names, jobs, chosen, strict=True):
        write_text(_comment(tuned, trace) + job_text(job), folder / name)
    paths = [folder / name for name in names]
    problems = jobs[0].problems
    try:
        for problem in problems_of_job(problems):
            trace.problem(problem)
    except UserError as error:
        return paths, f"the job needs its problems, which are missing here: {error}"
    return paths, None


def _comment(tuned: TunedChoice, trace: Trace) -> str:
    choice = tuned.choice
    return (
        f"# Tuned on {trace.directory.resolve().name}, for {choice.tests_per_problem:g} tests per problem: "
        f"{choice.name}.\n"
        f"# On the training problems: {_figures(tuned.training)}.\n"
        f"# On held-out problems: {_figures(tuned.held_out)}.\n"
    )


def _figures(scores: ChoiceScores) -> str:
    accuracy, difference = scores.accuracy, scores.vs_reference
    return (
        f"{format_percent(accuracy.value, ' %')} correct, {100 * difference.value:+.1f} points "
        f"[{100 * difference.low:+.1f}, {100 * difference.high:+.1f}] over the static reference"
    )

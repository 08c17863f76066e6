"""Job files of what was chosen, which ``run`` takes as they are."""

from collections.abc import Sequence
from pathlib import Path

from policies import policy_class
from rewards.errors import UserError
from scheduler.analysis.tune.findings import Figures, Finding
from scheduler.analysis.tune.space import Choice
from scheduler.job import (
    CandidatesSection,
    CapSection,
    HiddenStatesSection,
    Job,
    PolicySection,
    PredictorSection,
    TestsSection,
)
from scheduler.job_file import load_job, save_job
from scheduler.problems import load_problems
from scheduler.trace import Trace


def job_of(choice: Choice, trace: Trace, seed: int) -> Job:
    """Replays a run with a choice: the run's problems, candidates and tests, under the choice's cap.

    Raises:
        UserError: the run does not say where its problems come from.
    """
    run, kind = trace.directory.resolve(), policy_class(choice.policy)
    return Job(
        problems=load_job(run / "job.yaml").problems,
        candidates=CandidatesSection(run=run),
        tests=TestsSection(run=run),
        hidden_states=HiddenStatesSection(run=run) if kind.uses_pass_rates else None,
        predictor=PredictorSection(train_on=[run]) if kind.uses_pass_rates else None,
        policy=PolicySection(
            name=choice.policy,
            train_on=run if kind.uses_lessons else None,
            min_tests=choice.min_tests,
            max_tests=choice.max_tests,
        ),
        selection=choice.selection,
        cap=CapSection(tests=round(choice.tests_per_problem * len(trace.problems))),
        backend="replay",
        seed=seed,
    )


def write_jobs(
    found: Sequence[Finding], trace: Trace, seed: int, folder: Path
) -> tuple[list[Path], str | None]:
    """Writes ``job.yaml`` for one finding, ``job-1.yaml`` and so on for several, and takes older ones away.

    Returns:
        The files, and in a sentence why they are missing or cannot be run as they are.
    """
    names = ["job.yaml"] if len(found) == 1 else [f"job-{k}.yaml" for k in range(1, len(found) + 1)]
    for old in {*folder.glob("job.yaml"), *folder.glob("job-*.yaml")} - {folder / name for name in names}:
        old.unlink()
    try:
        jobs = [job_of(finding.choice, trace, seed) for finding in found]
    except UserError as error:
        return [], f"no job file was written, since its problems are not known: {error}"
    for name, job, finding in zip(names, jobs, found, strict=True):
        partial = (folder / name).with_suffix(".partial")
        save_job(job, partial)
        partial.write_text(_heading(finding, trace) + partial.read_text(encoding="utf-8"), encoding="utf-8")
        partial.replace(folder / name)
    paths = [folder / name for name in names]
    problems = jobs[0].problems
    try:
        for problem in load_problems(problems.source, problems.ids, problems.limit):
            trace.of(problem)
    except UserError as error:
        return paths, f"to be run, the job needs its problems, which are not here: {error}"
    return paths, None


def _heading(finding: Finding, trace: Trace) -> str:
    choice = finding.choice
    return (
        f"# Tuned on {trace.directory.resolve().name}, for {choice.tests_per_problem:g} tests per problem: "
        f"{choice.name}.\n"
        f"# On the problems that it was chosen by: {_figures(finding.training)}.\n"
        f"# On held-out problems: {_figures(finding.held_out)}.\n"
    )


def _figures(figures: Figures) -> str:
    lead = figures.lead
    return (
        f"{100 * figures.accuracy.value:.1f} % right, {100 * lead.value:+.1f} points "
        f"[{100 * lead.low:+.1f}, {100 * lead.high:+.1f}] over the static reference"
    )

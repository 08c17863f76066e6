"""Job files of what was chosen, which ``run`` takes as they are."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
from optuna.trial import TrialState
from rich.console import Console
from rich.table import Table as RichTable

from testbudget.analysis.compare.results import STATIC_RULES
from testbudget.analysis.tables import Table
from testbudget.analysis.tune.space import Choice
from testbudget.analysis.tune.tune import UNTUNED, HeldOutScores, TunedChoice, TuneResult
from testbudget.policies.registry import policy_class
from testbudget.policies.uniform import Uniform
from testbudget.rewards.errors import UserError
from testbudget.rewards.statistics import Interval
from testbudget.scheduler.job import (
    CandidatesSection,
    CapSection,
    HiddenStatesSection,
    Job,
    PolicySection,
    PredictorSection,
    TestsSection,
)
from testbudget.scheduler.job_file import load_job, save_job
from testbudget.traces.problems import load_problems
from testbudget.traces.records import QUANTITIES
from testbudget.traces.tables import write_table
from testbudget.traces.trace import Trace


def job_of(choice: Choice, trace: Trace, seed: int) -> Job:
    """Replays a run with a choice: the run's problems, candidates and tests, under the choice's cap.

    Raises:
        UserError: the run does not say where its problems come from.
    """
    run, kind = trace.directory.resolve(), policy_class(choice.policy)
    return Job(
        problems=load_job(run / "job.yaml").problems,
        candidates=CandidatesSection(from_run=run),
        tests=TestsSection(from_run=run),
        hidden_states=HiddenStatesSection(from_run=run) if kind.uses_pass_rates else None,
        predictor=PredictorSection(fit_from=[run]) if kind.uses_pass_rates else None,
        policy=PolicySection(
            name=choice.policy,
            gain_model_from=run if kind.uses_gain_models else None,
            min_tests=choice.min_tests,
            max_tests=choice.max_tests,
        ),
        selection=choice.selection,
        cap=CapSection(tests=round(choice.tests_per_problem * len(trace.problems))),
        backend="replay",
        seed=seed,
    )


def write_jobs(
    found: Sequence[TunedChoice], trace: Trace, seed: int, folder: Path
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


def _heading(finding: TunedChoice, trace: Trace) -> str:
    choice = finding.choice
    return (
        f"# Tuned on {trace.directory.resolve().name}, for {choice.tests_per_problem:g} tests per problem: "
        f"{choice.name}.\n"
        f"# On the problems that it was chosen by: {_figures(finding.training)}.\n"
        f"# On held-out problems: {_figures(finding.held_out)}.\n"
    )


def _figures(figures: HeldOutScores) -> str:
    lead = figures.lead
    return (
        f"{100 * figures.accuracy.value:.1f} % right, {100 * lead.value:+.1f} points "
        f"[{100 * lead.low:+.1f}, {100 * lead.high:+.1f}] over the static reference"
    )


# ~ """What a study states, as text: the same on the terminal and on the page."""


LEGEND = (
    "Training figures are flattered by the choice. The static reference is equal budgets with "
    f"{' or '.join(STATIC_RULES)}, whichever is better on the same problems at the same cost."
)


def study_heading(tuned: TuneResult) -> str:
    """What was tried on what."""
    settings = tuned.settings
    pruned = sum(attempt.record.state is TrialState.PRUNED for attempt in tuned.attempts)
    different = len({attempt.choice for attempt in tuned.attempts})
    given_up = f", {pruned} given up early" if pruned else ""
    aim = (
        f"at {settings.tests_per_problem:g} tests per problem"
        if settings.pareto is None
        else f"for high accuracy and few {_words(settings.pareto)}"
    )
    return (
        f"{tuned.run}: {len(tuned.attempts)} trials of {different} different choices{given_up} {aim}, on "
        f"{tuned.problems[0]} problems in {settings.orders} orders of their tests. {tuned.problems[1]} "
        "problems were held out."
    )


def study_verdict(tuned: TuneResult) -> str:
    """Whether tuning was worth it, as held-out problems have it."""
    if tuned.settings.pareto is not None:
        better = sum(finding.held_out.lead.low > 0 for finding in tuned.found)
        worse = sum(finding.held_out.lead.high < 0 for finding in tuned.found)
        return (
            f"On held-out problems, {better} of {len(tuned.found)} choices are beyond noise more accurate "
            f"than the static reference at the same cost, and {worse} less."
        )
    gain = tuned.found[0].held_out.gain
    told = "a gain beyond" if gain.low > 0 else "a loss beyond" if gain.high < 0 else "within"
    return (
        f"On held-out problems, tuning is worth {_points(gain)} points over {UNTUNED} with equal budgets: "
        f"{told} noise."
    )


def study_table(tuned: TuneResult) -> Table:
    """What was chosen, on both sides."""
    return _best(tuned) if tuned.settings.pareto is None else _front(tuned)


def _best(tuned: TuneResult) -> Table:
    """The best choice, beside what one has without tuning."""
    (finding,) = tuned.found
    rows = []
    for side, problems, figures in zip(
        ("training", "held out"), tuned.problems, (finding.training, finding.held_out), strict=True
    ):
        name = f"{side} ({problems})"
        static = f"equal budgets, {figures.reference}"
        rows += [
            [name, static, _percent(figures.reference_accuracy), "", ""],
            [
                name,
                f"equal budgets, {UNTUNED}",
                _percent(figures.untuned_accuracy),
                _points(figures.untuned_lead),
                "",
            ],
            [
                name,
                finding.choice.name,
                _percent(figures.accuracy),
                _points(figures.lead),
                _points(figures.gain),
            ],
        ]
    return Table(
        "The most accurate choice: accuracy in %, and points over the static reference and over no tuning",
        ("problems", "choice", "accuracy", "over the reference", f"over {UNTUNED}, {Uniform.name}"),
        rows,
        words=1,
    )


def _front(tuned: TuneResult) -> Table:
    cost = str(tuned.settings.pareto)
    rows = []
    for number, finding in enumerate(tuned.found, 1):
        row = [str(number), finding.choice.name, f"{finding.choice.tests_per_problem:g}"]
        for side in (finding.training, finding.held_out):
            row += [f"{getattr(side.spent, cost):,.1f}", _percent(side.accuracy), _points(side.lead)]
        rows.append(row)
    return Table(
        f"Choices that nothing beats in both accuracy and {_words(cost)} per problem, and their lead over "
        f"the static reference: on the {tuned.problems[0]} training problems, then on the "
        f"{tuned.problems[1]} held out",
        ("job", "choice", "cap", *2 * (_words(cost), "in %", "lead")),
        rows,
        words=1,
    )


def _words(quantity: str) -> str:
    return quantity.replace("_", " ")


def _percent(estimate: Interval) -> str:
    return f"{100 * estimate.value:.1f}"


def _points(estimate: Interval) -> str:
    value, low, high = (f"{100 * share:+.1f}" for share in (estimate.value, estimate.low, estimate.high))
    return f"{value} [{low}, {high}]"


# ~ """A study on the terminal, and its trials as Parquet."""


WIDTH = 118
"""Characters that a line of the printed table needs."""


def print_tuned(tuned: TuneResult, console: Console) -> None:
    """Prints what was chosen, and what it comes to on problems that it was not chosen by."""
    console.print(study_heading(tuned), highlight=False)
    for note in tuned.notes:
        console.print(note, highlight=False)
    shown = study_table(tuned)
    console.print(f"\n[italic]{shown.title}[/italic]", highlight=False)
    table = RichTable(box=None, pad_edge=False, header_style="bold")
    for position, name in enumerate(shown.columns):
        table.add_column(name, justify="left" if position <= shown.words else "right", no_wrap=True)
    before = None
    for row in shown.rows:
        table.add_row("" if row[0] == before else row[0], *row[1:])
        before = row[0]
    console.print(table, highlight=False)
    console.print(f"\n{study_verdict(tuned)} {LEGEND}", highlight=False)


def write_trials(tuned: TuneResult, path: Path) -> None:
    """Writes every trial as a row of a Parquet file; spending is per problem."""
    rows = [
        {
            "number": record.number,
            "state": record.state.name.lower(),
            "selection": choice.selection,
            "policy": choice.policy,
            "min_tests": choice.min_tests,
            "max_tests": choice.max_tests,
            "tests_per_problem": float(choice.tests_per_problem),
            "accuracy": record.values[0] if record.state is TrialState.COMPLETE else None,
            "accuracy_by_order": list(record.intermediate_values.values()),
            **{name: record.user_attrs.get(name) for name in QUANTITIES},
        }
        for choice, record in ((attempt.choice, attempt.record) for attempt in tuned.attempts)
    ]
    schema = pa.schema(
        [
            ("number", pa.int64()),
            *((name, pa.string()) for name in ("state", "selection", "policy")),
            *((name, pa.int64()) for name in ("min_tests", "max_tests")),
            *((name, pa.float64()) for name in ("tests_per_problem", "accuracy")),
            ("accuracy_by_order", pa.list_(pa.float64())),
            *((name, pa.float64()) for name in QUANTITIES),
        ]
    )
    write_table(pa.Table.from_pylist(rows, schema), path)

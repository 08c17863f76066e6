"""What a study states, as text: the same on the terminal and on the page."""

from optuna.trial import TrialState

from policies import Uniform
from scheduler.analysis.compare.comparison import STATIC_RULES
from scheduler.analysis.compare.sheets import Sheet
from scheduler.analysis.compare.statistics import Estimate
from scheduler.analysis.tune.findings import UNTUNED
from scheduler.analysis.tune.tuning import Tuned

LEGEND = (
    "Training figures are flattered by the choice. The static reference is equal budgets with "
    f"{' or '.join(STATIC_RULES)}, whichever is better on the same problems at the same cost."
)


def heading(tuned: Tuned) -> str:
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


def verdict(tuned: Tuned) -> str:
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


def sheet(tuned: Tuned) -> Sheet:
    """What was chosen, on both sides."""
    return _best(tuned) if tuned.settings.pareto is None else _front(tuned)


def _best(tuned: Tuned) -> Sheet:
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
    return Sheet(
        "The most accurate choice: accuracy in %, and points over the static reference and over no tuning",
        ("problems", "choice", "accuracy", "over the reference", f"over {UNTUNED}, {Uniform.name}"),
        rows,
        words=1,
    )


def _front(tuned: Tuned) -> Sheet:
    cost = str(tuned.settings.pareto)
    rows = []
    for number, finding in enumerate(tuned.found, 1):
        row = [str(number), finding.choice.name, f"{finding.choice.tests_per_problem:g}"]
        for side in (finding.training, finding.held_out):
            row += [f"{getattr(side.spent, cost):,.1f}", _percent(side.accuracy), _points(side.lead)]
        rows.append(row)
    return Sheet(
        f"Choices that nothing beats in both accuracy and {_words(cost)} per problem, and their lead over "
        f"the static reference: on the {tuned.problems[0]} training problems, then on the "
        f"{tuned.problems[1]} held out",
        ("job", "choice", "cap", *2 * (_words(cost), "in %", "lead")),
        rows,
        words=1,
    )


def _words(quantity: str) -> str:
    return quantity.replace("_", " ")


def _percent(estimate: Estimate) -> str:
    return f"{100 * estimate.value:.1f}"


def _points(estimate: Estimate) -> str:
    value, low, high = (f"{100 * share:+.1f}" for share in (estimate.value, estimate.low, estimate.high))
    return f"{value} [{low}, {high}]"

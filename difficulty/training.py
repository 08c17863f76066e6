"""Learning targets by several methods, each judged on problems that it has not seen."""

from collections.abc import Sequence
from dataclasses import dataclass

from difficulty.base import Inputs, Method, Prediction
from difficulty.crossfit import CrossFitted, cross_fit
from difficulty.scores import Scores, score
from difficulty.targets import Labels

FOLDS = 10


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """Predictions of problems and what was measured on them.

    Attributes:
        labels: of the problems that the target was measured on.
        predicted: of the same problems, in the target's own units.
        scores: of the one against the other.
    """

    labels: Labels
    predicted: Prediction
    scores: Scores


@dataclass(frozen=True, slots=True, eq=False)
class Lesson:
    """One target, learned by one method.

    Attributes:
        fitted: what was learned, a member a fold.
        judged: what it says of the training problems, each by a member that has not seen it.
    """

    fitted: CrossFitted
    judged: Judged


def learn(method: Method, labels: Labels, inputs: Inputs, groups: Sequence[str], *, seed: int) -> Lesson:
    """Learns a target from problems, and judges what was learned on the same, each by what has not seen it.

    Args:
        method: learns.
        labels: of the problems; those that the target was not measured on are left out.
        inputs: what is known of them before their first test.
        groups: content hash of each.
        seed: decides the folds, and whatever the method draws.

    Raises:
        UserError: too few problems, or inputs that the method cannot read.
    """
    known, inputs, groups = _measured_on(labels, inputs, groups)
    shares = known.target.as_share(known.values)
    fitted = cross_fit(method, inputs, shares, known.weights, groups, folds=FOLDS, seed=seed)
    return Lesson(fitted, judge(fitted, known, inputs, groups))


def judge(fitted: CrossFitted, labels: Labels, inputs: Inputs, groups: Sequence[str]) -> Judged:
    """What was learned, put to the test on problems; none is predicted by what has seen it.

    Args:
        fitted: what was learned of the target.
        labels, inputs, groups: of the problems, as in ``learn``.

    Raises:
        UserError: inputs unlike those that were learned from.
        ValueError: the target was measured on none of the problems.
    """
    known, inputs, groups = _measured_on(labels, inputs, groups)
    shares = fitted.predict(inputs, groups)
    predicted = Prediction(
        known.target.from_share(shares.mean), known.target.deviation_from_share(shares.deviation)
    )
    return Judged(known, predicted, score(predicted.mean, known.values, known.weights, known.event))


def _measured_on(
    labels: Labels, inputs: Inputs, groups: Sequence[str]
) -> tuple[Labels, Inputs, Sequence[str]]:
    rows = labels.known
    if rows.all():
        return labels, inputs, groups
    return labels[rows], inputs[rows], [group for group, row in zip(groups, rows, strict=True) if row]

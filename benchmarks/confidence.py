"""How far to trust what is said without ground truth: of picks, of more tests, and of the tests' quality.

On the recorded run and on parts of it, good tests and bad. Everything is
cross-fitted by problem. Three columns of scores say what was learned from: all parts, all but the one that
is judged, and the recorded run as it is.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from parts import AS_RECORDED, REGIMES, SEED, Problem, problems_of_the_run, shown
from recorded import RECORDED_RUN
from sklearn.metrics import roc_auc_score

from testbudget.difficulty.predictions import fitted_pass_rates
from testbudget.rewards.confidence.features import FEATURES
from testbudget.rewards.confidence.fit import TrainingRow, fit_confidence_models, training_rows
from testbudget.rewards.confidence.model import (
    ConfidenceModels,
    ConfidenceTarget,
    RuleFamily,
    p_correct_of_candidates,
)
from testbudget.rewards.outputs import Evidence
from testbudget.rewards.overoptimisation import MIN_P_HARM
from testbudget.rewards.quality import TestQuality, combined_test_quality, single_test_quality
from testbudget.rewards.seeds import problem_fold
from testbudget.rewards.selection.batch import batch_statistics
from testbudget.rewards.selection.registry import selection_rule
from testbudget.traces.problems import load_problems
from testbudget.traces.tables import read_trace

RULES = ("majority", "consensus", "soft_agreement", "auto")
LOOKED_AHEAD = ("majority", "auto")
COVERED = (1.0, 0.9, 0.75, 0.5)
MANY = 5  # tests from which on it is asked whether to stop
QUALITY_AT = 20
RATES = (
    "accuracy",
    "f1",
    "false_acceptance_rate",
    "false_rejection_rate",
    "false_positive_rate",
    "false_negative_rate",
)
ALONE = {
    "halves of the tests pick alike": -2,
    "half of the tests picks like all": -1,
    **{name: FEATURES.index(name) for name in FEATURES[:4]},
}


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """One problem of a regime, in one order of its tests."""

    number: int
    evidence: Evidence
    correct: NDArray[np.bool_]
    fold: int
    pass_rate: float


@dataclass(frozen=True, slots=True, eq=False)
class Taught:
    """A lesson, where it is from, and the accuracy that far more tests would add, shape (rows,)."""

    regime: str
    rule: str
    gain_model: TrainingRow


def draw(
    problems: Sequence[Problem], folds: Sequence[int], rates: NDArray[np.float64], regime: str, order: int
) -> list[Drawn]:
    """All problems with the tests of a regime."""
    drawn = []
    for number, problem in enumerate(problems):
        random = np.random.default_rng([SEED, number, order])
        evidence = shown(problem, REGIMES[regime](problem, random), np.arange(len(problem.correct)))
        drawn.append(Drawn(number, evidence, problem.correct, folds[number], float(rates[number])))
    batch = batch_statistics(one.evidence for one in drawn)
    return [replace(one, evidence=replace(one.evidence, batch=batch)) for one in drawn]


def teach(drawn: Sequence[Drawn], regime: str, order: int) -> Iterator[Taught]:
    """The lessons of a regime."""
    for one in drawn:
        for rule in RULES:
            random = np.random.default_rng([SEED, one.number, order])
            for gain_model in training_rows(
                one.evidence,
                one.correct,
                [selection_rule(rule)],
                one.fold,
                one.pass_rate,
                random,
                with_changes=rule in LOOKED_AHEAD,
            ):
                if gain_model.target is not ConfidenceTarget.CANDIDATE or rule == RULES[0]:
                    yield Taught(regime, rule, gain_model)


def auroc(outcomes: NDArray[np.float64], scores: NDArray[np.float64]) -> float:
    """Chance that a yes is scored higher than a no; an outcome between is so much of either.

    Rows without a score are left out.
    """
    outcomes, scores = outcomes[~np.isnan(scores)], scores[~np.isnan(scores)]
    labels = np.repeat([1, 0], len(outcomes))
    weights = np.concatenate([outcomes, 1 - outcomes])
    if not (outcomes.any() and (1 - outcomes).any()):
        return float("nan")
    return float(roc_auc_score(labels, np.tile(scores, 2), sample_weight=weights))


def calibration_error(outcomes: NDArray[np.float64], scores: NDArray[np.float64]) -> float:
    """Expected calibration error over ten bins of equal width."""
    bins = np.minimum((scores * 10).astype(int), 9)
    return float(np.abs(np.bincount(bins, scores - outcomes)).sum() / len(scores))


def asked(
    confidence_models: ConfidenceModels, taught: Sequence[Taught], question: ConfidenceTarget
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.intp]]:
    """Probabilities, outcomes and tests of all rows of a question."""
    rows = [one.gain_model for one in taught if one.gain_model.target is question]
    scores = [
        confidence_models.model(question, row.family, row.fold).probability(row.features) for row in rows
    ]
    return (
        np.concatenate(scores),
        np.concatenate([row.outcomes for row in rows]),
        np.concatenate([row.tests for row in rows]),
    )


def scores_of(scores: NDArray[np.float64], outcomes: NDArray[np.float64]) -> dict[str, float]:
    """Brier score, expected calibration error and area under the curve."""
    return {
        "brier": round(float(np.mean((scores - outcomes) ** 2)), 3),
        "calibration error": round(calibration_error(outcomes, scores), 3),
        "auroc": round(auroc(outcomes, scores), 3),
    }


def selective(scores: NDArray[np.float64], outcomes: NDArray[np.float64]) -> list[float]:
    """Accuracy in % of the surest picks, for each share covered."""
    ranked = outcomes[np.argsort(-scores, kind="stable")]
    return [round(100 * float(ranked[: max(1, int(share * len(ranked)))].mean()), 1) for share in COVERED]


def picks_table(
    fits: Mapping[str, Mapping[str, ConfidenceModels]], taught: Sequence[Taught]
) -> dict[str, Any]:
    """How good the probabilities of picks are, by regime, rule and what is known."""
    figures: dict[str, Any] = {}
    print("\nIs the pick right? (after 0 to all tests; scores: Brier, calibration error, AUROC)")
    print(
        f"{'':<48}{'accuracy, base':<16}"
        + "".join(f"{name:<22}" for name in fits)
        + "accuracy at coverage 100, 90, 75, 50 %"
    )
    for regime in REGIMES:
        for rule in LOOKED_AHEAD:
            for known in ("verdicts only", "with outputs"):
                rows = [
                    one
                    for one in taught
                    if (one.regime, one.rule) == (regime, rule)
                    and (one.gain_model.family is RuleFamily.VOTES) == (known == "verdicts only")
                ]
                of_fits = {}
                for name, by_regime in fits.items():
                    scores, outcomes, _ = asked(by_regime[regime], rows, ConfidenceTarget.PICK)
                    of_fits[name] = scores_of(scores, outcomes)
                    if name == "all":
                        covered = selective(scores, outcomes)
                figures[f"{regime}, {rule}, {known}"] = {
                    "accuracy": round(100 * float(outcomes.mean()), 1),
                    "base": round(float(outcomes.var()), 3),
                    "scores": of_fits,
                    "at coverage": covered,
                }
                cells = "".join(
                    f"{' '.join(f'{value:.3f}' for value in of.values()):<22}" for of in of_fits.values()
                )
                base = f"{100 * outcomes.mean():.1f} {outcomes.var():.3f}"
                print(f"{f'{regime}, {rule}, {known}':<48}{base:<16}{cells}{covered}", flush=True)
    return figures


def stopping_table(
    fits: Mapping[str, Mapping[str, ConfidenceModels]], taught: Sequence[Taught]
) -> dict[str, Any]:
    """How well falling and rising accuracy are foreseen, and what stopping there would do."""
    figures: dict[str, Any] = {}
    print(f"\nDo more tests help? (from {MANY} tests on; AUROC of rising and falling; of what is stopped,")
    print("how often accuracy rose and fell with all tests)")
    for regime in REGIMES:
        for rule in LOOKED_AHEAD:
            rows = [
                one
                for one in taught
                if (one.regime, one.rule) == (regime, rule)
                and one.gain_model.family is not RuleFamily.VOTES
            ]
            line = f"{f'{regime}, {rule}':<34}"
            of_fits = {}
            for name, by_regime in fits.items():
                helps, rises, tests = asked(by_regime[regime], rows, ConfidenceTarget.RISES)
                p_harm, falls, _ = asked(by_regime[regime], rows, ConfidenceTarget.FALLS)
                late = tests >= MANY
                helps, rises, p_harm, falls = helps[late], rises[late], p_harm[late], falls[late]
                stop = (p_harm > helps) & (p_harm >= MIN_P_HARM)
                of_fits[name] = {
                    "auroc of rising": round(auroc(rises, helps), 2),
                    "auroc of falling": round(auroc(falls, p_harm), 2),
                    "stopped": round(float(stop.mean()), 3),
                    "rise if stopped": round(float(rises[stop].mean()), 3) if stop.any() else None,
                    "fall if stopped": round(float(falls[stop].mean()), 3) if stop.any() else None,
                }
                line += f"{' '.join(str(value) for value in of_fits[name].values()):<34}"
            figures[f"{regime}, {rule}"] = {
                "rises": round(float(rises.mean()), 3),
                "falls": round(float(falls.mean()), 3),
                **of_fits,
            }
            print(f"rises {rises.mean():.3f} falls {falls.mean():.3f}  {line}", flush=True)
    return figures


def alone_table(taught: Sequence[Taught]) -> dict[str, Any]:
    """How well single signs foresee that accuracy falls."""
    figures: dict[str, Any] = {}
    print(f"\nFalling accuracy by one sign alone, low for a fall: majority, from {MANY} tests on, AUROC")
    print(f"{'':<28}" + ", ".join(ALONE))
    for regime in REGIMES:
        rows = [
            one.gain_model
            for one in taught
            if (one.regime, one.rule, one.gain_model.family)
            == (regime, "majority", RuleFamily.OUTPUTS_RECORDED)
            and one.gain_model.target is ConfidenceTarget.FALLS
        ]
        late = np.concatenate([row.tests for row in rows]) >= MANY
        features = np.concatenate([row.features for row in rows])[late]
        falls = np.concatenate([row.outcomes for row in rows])[late]
        figures[regime] = [round(auroc(falls, -features[:, column]), 2) for column in ALONE.values()]
        print(f"{regime:<28}" + " ".join(f"{value:.2f}" for value in figures[regime]), flush=True)
    return figures


def quality_table(
    fits: Mapping[str, Mapping[str, ConfidenceModels]], drawn: Mapping[str, Sequence[Drawn]]
) -> dict[str, Any]:
    """The true rates of tests, and what is estimated of them without ground truth."""
    figures: dict[str, Any] = {}
    rule = selection_rule("majority")
    print(f"\nQuality of the first {QUALITY_AT} tests: measured, then estimated from what was learned of")
    print(f"{', '.join(fits)}; {', '.join(RATES)}")
    for regime, problems in drawn.items():
        truth: list[tuple[TestQuality, TestQuality]] = []
        guesses: dict[str, list[tuple[TestQuality, TestQuality]]] = {name: [] for name in fits}
        for one in problems:
            known = one.evidence.first(min(QUALITY_AT, one.evidence.votes.tests))
            winners = rule.winners(known)
            truth.append(
                (single_test_quality(known.votes, one.correct), combined_test_quality(winners, one.correct))
            )
            for name, by_regime in fits.items():
                belief = p_correct_of_candidates(known, by_regime[regime], one.fold, one.pass_rate)
                guesses[name].append(
                    (single_test_quality(known.votes, belief), combined_test_quality(winners, belief))
                )
        for part, what in enumerate(("single", "together")):
            rows = {"measured": truth, **guesses}
            rates = {
                name: [
                    round(getattr(sum((pair[part] for pair in pairs), TestQuality(0, 0, 0, 0)), rate), 3)
                    for rate in RATES
                ]
                for name, pairs in rows.items()
            }
            figures[f"{regime}, {what}"] = rates
            cells = " | ".join(" ".join(f"{value:.3f}" for value in values) for values in rates.values())
            print(f"{f'{regime}, {what}':<28}{cells}", flush=True)
    return figures


def main() -> int:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--orders", type=int, default=1, help="random orders of the tests (default: 1)")
    parser.add_argument("--quick", action="store_true", help="24 problems, 1 order")
    parser.add_argument("--ship", action="store_true", help="print rewards/confidence/default.json and end")
    arguments = parser.parse_args()
    trace, texts = read_trace(RECORDED_RUN), load_problems("humaneval")
    assert trace.hidden_states is not None
    hashes = [problem.content_hash for problem in texts]
    prompts = [problem.prompt for problem in texts]
    rates = fitted_pass_rates([RECORDED_RUN], trace.hidden_states, hashes, prompts, read_trace, 0).mean
    folds = [problem_fold(content_hash) for content_hash in hashes]
    problems, orders = problems_of_the_run(), arguments.orders
    if arguments.quick:
        problems, folds, rates, orders = problems[::7], folds[::7], rates[::7], 1
    taught: list[Taught] = []
    drawn: dict[str, list[Drawn]] = {}
    for regime in REGIMES:
        for order in range(orders):
            drawn[regime] = draw(problems, folds, rates, regime, order)
            taught += teach(drawn[regime], regime, order)
        print(f"{regime}: done", file=sys.stderr, flush=True)
    everything = fit_confidence_models((one.gain_model for one in taught), "all")
    if arguments.ship:
        shipped = replace(everything, source="learned from the recorded HumanEval run")
        print(shipped.as_json(), end="")
        return 0
    recorded = fit_confidence_models(
        (one.gain_model for one in taught if one.regime == AS_RECORDED), AS_RECORDED
    )
    fits = {
        "all": dict.fromkeys(REGIMES, everything),
        "other parts": {
            regime: fit_confidence_models(
                (one.gain_model for one in taught if one.regime != regime), "others"
            )
            for regime in REGIMES
        },
        AS_RECORDED: dict.fromkeys(REGIMES, recorded),
    }
    figures = {
        "picks": picks_table(fits, taught),
        "stopping": stopping_table(fits, taught),
        "one sign alone": alone_table(taught),
        "quality": quality_table(fits, drawn),
    }
    print()
    print(json.dumps(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())

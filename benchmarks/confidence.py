"""Calibration and ranking of what is estimated without labels, measured with labels.

These are p_correct of picks, p_gain and p_harm of more tests, and the quality of the tests, on the
recorded run and on better and worse parts of its tests, cross-fitted by problem. The three columns of
scores differ in what the models were fitted on: all parts, all but the judged one, or the run as recorded.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from recorded_blocks import RECORDED_RUN
from recorded_parts import AS_RECORDED, PARTS, SEED, LabeledProblem, evidence_of, labeled_problems
from sklearn.metrics import roc_auc_score

from testbudget.difficulty.predictions import fitted_pass_rates
from testbudget.rewards.confidence.features import FEATURES
from testbudget.rewards.confidence.fit import TrainingRows, fit_confidence_models, training_rows
from testbudget.rewards.confidence.model import (
    ConfidenceModels,
    ConfidenceTarget,
    RuleFamily,
    default_models,
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

RULES = ("majority", "consensus", "soft_agreement", "calibrated")
SHOWN_RULES = ("majority", "calibrated")
"""Rules for which p_gain and p_harm are fitted, and whose figures are shown."""

COVERAGES = (1.0, 0.9, 0.75, 0.5)
MIN_TESTS = 5
"""Tests from which on p_gain and p_harm are scored."""

QUALITY_TESTS = 20
RATES = (
    "accuracy",
    "f1",
    "false_acceptance_rate",
    "false_rejection_rate",
    "false_positive_rate",
    "false_negative_rate",
)
SINGLE_FEATURES = {
    "agreement of two halves": -2,
    "agreement of a half with all tests": -1,
    **{name: FEATURES.index(name) for name in FEATURES[:4]},
}
"""Columns of the features by name."""

Fits = Mapping[str, Mapping[str, ConfidenceModels]]
"""Confidence models by what they were fitted on, then by the part that they judge."""


@dataclass(frozen=True, slots=True, eq=False)
class DrawnProblem:
    """One problem of a part, in one permutation of its tests.

    Attributes:
        number: position among all problems.
        evidence: evidence of its tests.
        correct: bool (candidates,), labels.
        fold: fold of the problem.
        pass_rate: predicted pass rate.
    """

    number: int
    evidence: Evidence
    correct: NDArray[np.bool_]
    fold: int
    pass_rate: float


@dataclass(frozen=True, slots=True, eq=False)
class PartRows:
    """Training rows of one problem, with the part and the selection rule that they come from."""

    part: str
    rule: str
    rows: TrainingRows


def draw_problems(
    problems: Sequence[LabeledProblem],
    folds: Sequence[int],
    pass_rates: NDArray[np.float64],
    part: str,
    permutation: int,
) -> list[DrawnProblem]:
    """All problems with the tests of a part."""
    drawn = []
    for number, problem in enumerate(problems):
        random = np.random.default_rng([SEED, number, permutation])
        evidence = evidence_of(problem, PARTS[part](problem, random), np.arange(len(problem.correct)))
        drawn.append(
            DrawnProblem(number, evidence, problem.correct, folds[number], float(pass_rates[number]))
        )
    batch = batch_statistics(one.evidence for one in drawn)
    return [replace(one, evidence=replace(one.evidence, batch=batch)) for one in drawn]


def part_rows(drawn: Sequence[DrawnProblem], part: str, permutation: int) -> Iterator[PartRows]:
    """Training rows of a part; those of single candidates, which no rule changes, only once."""
    for one in drawn:
        for rule in RULES:
            random = np.random.default_rng([SEED, one.number, permutation])
            for rows in training_rows(
                one.evidence,
                one.correct,
                [selection_rule(rule)],
                one.fold,
                one.pass_rate,
                random,
                with_changes=rule in SHOWN_RULES,
            ):
                if rows.target is not ConfidenceTarget.CANDIDATE or rule == RULES[0]:
                    yield PartRows(part, rule, rows)


def auroc(outcomes: NDArray[np.float64], scores: NDArray[np.float64]) -> float:
    """Probability that a positive outcome has a higher score than a negative one.

    An outcome x between 0 and 1 counts as x of a positive and 1 - x of a negative one. Rows whose score is
    NaN are left out. NaN if all outcomes are 0 or all are 1.
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


def predict(
    confidence_models: ConfidenceModels, selected: Sequence[PartRows], target: ConfidenceTarget
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.intp]]:
    """Probabilities, outcomes and numbers of tests of all rows of a target."""
    rows = [one.rows for one in selected if one.rows.target is target]
    scores = [
        confidence_models.model(target, row.family, row.fold).probability(row.features) for row in rows
    ]
    return (
        np.concatenate(scores),
        np.concatenate([row.outcomes for row in rows]),
        np.concatenate([row.tests for row in rows]),
    )


def pick_scores(scores: NDArray[np.float64], outcomes: NDArray[np.float64]) -> dict[str, float]:
    """Brier score, expected calibration error and AUROC."""
    return {
        "brier": round(float(np.mean((scores - outcomes) ** 2)), 3),
        "calibration error": round(calibration_error(outcomes, scores), 3),
        "auroc": round(auroc(outcomes, scores), 3),
    }


def accuracy_at_coverage(scores: NDArray[np.float64], outcomes: NDArray[np.float64]) -> list[float]:
    """Accuracy in % of the surest picks, for each of ``COVERAGES``."""
    ranked = outcomes[np.argsort(-scores, kind="stable")]
    return [round(100 * float(ranked[: max(1, int(share * len(ranked)))].mean()), 1) for share in COVERAGES]


def picks_table(fits: Fits, all_rows: Sequence[PartRows]) -> dict[str, Any]:
    """Scores of p_correct by part, rule and recorded evidence."""
    figures: dict[str, Any] = {}
    print("\np_correct of picks, after 0 to all tests (scores: Brier, calibration error, AUROC)")
    print(
        f"{'':<48}{'accuracy, base':<16}"
        + "".join(f"{name:<22}" for name in fits)
        + "accuracy at coverage 100, 90, 75, 50 %"
    )
    for part in PARTS:
        for rule in SHOWN_RULES:
            for evidence in ("verdicts only", "with outputs"):
                rows = [
                    one
                    for one in all_rows
                    if (one.part, one.rule) == (part, rule)
                    and (one.rows.family is RuleFamily.VOTES) == (evidence == "verdicts only")
                ]
                by_fit = {}
                for name, by_part in fits.items():
                    scores, outcomes, _ = predict(by_part[part], rows, ConfidenceTarget.PICK)
                    by_fit[name] = pick_scores(scores, outcomes)
                    if name == "all":
                        at_coverage = accuracy_at_coverage(scores, outcomes)
                figures[f"{part}, {rule}, {evidence}"] = {
                    "accuracy": round(100 * float(outcomes.mean()), 1),
                    "base": round(float(outcomes.var()), 3),
                    "scores": by_fit,
                    "at coverage": at_coverage,
                }
                texts = "".join(
                    f"{' '.join(f'{value:.3f}' for value in of_fit.values()):<22}"
                    for of_fit in by_fit.values()
                )
                base = f"{100 * outcomes.mean():.1f} {outcomes.var():.3f}"
                print(f"{f'{part}, {rule}, {evidence}':<48}{base:<16}{texts}{at_coverage}", flush=True)
    return figures


def changes_table(fits: Fits, all_rows: Sequence[PartRows]) -> dict[str, Any]:
    """Scores of p_gain and p_harm, and the effect of closing the problems that they call harmful."""
    figures: dict[str, Any] = {}
    print(
        f"\nEffect of all further tests, from {MIN_TESTS} tests on: how often accuracy rises, falls; then"
    )
    print(
        "for each fit AUROC of p_gain, AUROC of p_harm, share of the states called harmful, and how often"
    )
    print(f"accuracy rose and fell in these ({', '.join(fits)})")
    for part in PARTS:
        for rule in SHOWN_RULES:
            rows = [
                one
                for one in all_rows
                if (one.part, one.rule) == (part, rule) and one.rows.family is not RuleFamily.VOTES
            ]
            line = f"{f'{part}, {rule}':<34}"
            by_fit = {}
            for name, by_part in fits.items():
                p_gain, rises, tests = predict(by_part[part], rows, ConfidenceTarget.RISES)
                p_harm, falls, _ = predict(by_part[part], rows, ConfidenceTarget.FALLS)
                late = tests >= MIN_TESTS
                p_gain, rises, p_harm, falls = p_gain[late], rises[late], p_harm[late], falls[late]
                harmful = (p_harm > p_gain) & (p_harm >= MIN_P_HARM)
                by_fit[name] = {
                    "auroc of p_gain": round(auroc(rises, p_gain), 2),
                    "auroc of p_harm": round(auroc(falls, p_harm), 2),
                    "harmful": round(float(harmful.mean()), 3),
                    "rises if harmful": round(float(rises[harmful].mean()), 3) if harmful.any() else None,
                    "falls if harmful": round(float(falls[harmful].mean()), 3) if harmful.any() else None,
                }
                line += f"{' '.join(str(value) for value in by_fit[name].values()):<34}"
            figures[f"{part}, {rule}"] = {
                "rises": round(float(rises.mean()), 3),
                "falls": round(float(falls.mean()), 3),
                **by_fit,
            }
            print(f"rises {rises.mean():.3f} falls {falls.mean():.3f}  {line}", flush=True)
    return figures


def single_features_table(all_rows: Sequence[PartRows]) -> dict[str, Any]:
    """AUROC of single features for a fall of the accuracy."""
    figures: dict[str, Any] = {}
    print(
        f"\nAUROC of single features, low for a fall of the accuracy: majority, from {MIN_TESTS} tests on"
    )
    print(f"{'':<28}" + ", ".join(SINGLE_FEATURES))
    for part in PARTS:
        rows = [
            one.rows
            for one in all_rows
            if (one.part, one.rule, one.rows.family) == (part, "majority", RuleFamily.OUTPUTS_RECORDED)
            and one.rows.target is ConfidenceTarget.FALLS
        ]
        late = np.concatenate([row.tests for row in rows]) >= MIN_TESTS
        features = np.concatenate([row.features for row in rows])[late]
        falls = np.concatenate([row.outcomes for row in rows])[late]
        figures[part] = [
            round(auroc(falls, -features[:, column]), 2) for column in SINGLE_FEATURES.values()
        ]
        print(f"{part:<28}" + " ".join(f"{value:.2f}" for value in figures[part]), flush=True)
    return figures


def quality_table(fits: Fits, drawn: Mapping[str, Sequence[DrawnProblem]]) -> dict[str, Any]:
    """Quality of the tests, measured and estimated."""
    figures: dict[str, Any] = {}
    rule = selection_rule("majority")
    print(f"\nQuality of the first {QUALITY_TESTS} tests: measured | estimated, fitted on")
    print(f"{' | '.join(fits)}; {', '.join(RATES)}")
    for part, problems in drawn.items():
        measured: list[tuple[TestQuality, TestQuality]] = []
        estimated: dict[str, list[tuple[TestQuality, TestQuality]]] = {name: [] for name in fits}
        for one in problems:
            known = one.evidence.first(min(QUALITY_TESTS, one.evidence.votes.tests))
            winners = rule.winners(known)
            measured.append(
                (single_test_quality(known.votes, one.correct), combined_test_quality(winners, one.correct))
            )
            for name, by_part in fits.items():
                p_correct = p_correct_of_candidates(known, by_part[part], one.fold, one.pass_rate)
                estimated[name].append(
                    (single_test_quality(known.votes, p_correct), combined_test_quality(winners, p_correct))
                )
        for position, tests in enumerate(("single", "together")):
            by_source = {"measured": measured, **estimated}
            rates = {
                name: [
                    round(
                        getattr(sum((pair[position] for pair in pairs), TestQuality(0, 0, 0, 0)), rate), 3
                    )
                    for rate in RATES
                ]
                for name, pairs in by_source.items()
            }
            figures[f"{part}, {tests}"] = rates
            texts = " | ".join(" ".join(f"{value:.3f}" for value in values) for values in rates.values())
            print(f"{f'{part}, {tests}':<28}{texts}", flush=True)
    return figures


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--permutations", type=int, default=1, help="of the tests (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="every seventh problem, 1 permutation")
    parser.add_argument(
        "--print-models",
        action="store_true",
        help="only print rewards/confidence/default.json, whose model of picks generalisation.py fits",
    )
    arguments = parser.parse_args()
    trace, texts = read_trace(RECORDED_RUN), load_problems("humaneval")
    assert trace.hidden_states is not None
    hashes = [problem.content_hash for problem in texts]
    prompts = [problem.prompt for problem in texts]
    pass_rates = fitted_pass_rates([RECORDED_RUN], trace.hidden_states, hashes, prompts, read_trace, 0).mean
    folds = [problem_fold(content_hash) for content_hash in hashes]
    problems, permutations = labeled_problems(), arguments.permutations
    if arguments.quick:
        problems, folds, pass_rates, permutations = problems[::7], folds[::7], pass_rates[::7], 1
    rows: list[PartRows] = []
    drawn: dict[str, list[DrawnProblem]] = {}
    for part in PARTS:
        for permutation in range(permutations):
            drawn[part] = draw_problems(problems, folds, pass_rates, part, permutation)
            rows += part_rows(drawn[part], part, permutation)
        print(f"{part}: done", file=sys.stderr, flush=True)
    fitted_on_all = fit_confidence_models((one.rows for one in rows), "all")
    if arguments.print_models:
        shipped = default_models()
        of_picks = {key: one for key, one in shipped.models.items() if key[0] is ConfidenceTarget.PICK}
        default = ConfidenceModels(shipped.source, {**fitted_on_all.models, **of_picks})
        print(default.as_json(), end="")
        return 0
    fitted_as_recorded = fit_confidence_models(
        (one.rows for one in rows if one.part == AS_RECORDED), AS_RECORDED
    )
    fits = {
        "all": dict.fromkeys(PARTS, fitted_on_all),
        "other parts": {
            part: fit_confidence_models((one.rows for one in rows if one.part != part), "others")
            for part in PARTS
        },
        AS_RECORDED: dict.fromkeys(PARTS, fitted_as_recorded),
    }
    figures = {
        "picks": picks_table(fits, rows),
        "effect of more tests": changes_table(fits, rows),
        "single features": single_features_table(rows),
        "quality": quality_table(fits, drawn),
    }
    print()
    print(json.dumps(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Worth of each selection rule and policy, alone and together, on better and worse tests.

The reference is static: equal budgets, with the better of majority and consensus at each cap. Whatever is
learned about a problem is learned from other problems. Nothing is executed.
"""

import argparse
import functools
import json
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from input_mutations import with_inputs_of
from numpy.typing import NDArray
from recorded_blocks import RECORDED_RUN
from recorded_parts import AS_RECORDED, MBPP, SEED, LabeledProblem, keep_part, recorded_tests

from testbudget.analysis.compare.evaluate import policy_setups
from testbudget.analysis.compare.settings import STATIC_RULES
from testbudget.analysis.permuted_runs import PermutedRuns, permuted_runs
from testbudget.difficulty.predictions import PredictedPassRates, learned_pass_rates, predict_pass_rates
from testbudget.policies.adaptive import Adaptive
from testbudget.policies.curves import OracleCurves
from testbudget.policies.greedy import Greedy
from testbudget.policies.proportional import Proportional
from testbudget.policies.uniform import Uniform
from testbudget.rewards.bootstrap import Interval, bootstrap_means, first_crossing, intervals
from testbudget.rewards.selection.registry import selection_rule
from testbudget.traces.learning_curves import RecordedTests
from testbudget.traces.tables import read_trace

COMPARED_PARTS: tuple[str, ...] = (AS_RECORDED, "middle third", "worst third", "one in six right")
SHOWN_CAPS = (1, 2, 3, 5, 8, 12, 20)
"""Tests per problem that the table shows."""

_CAPS_BETWEEN = (4, 6, 10, 15)  # evaluated too, to find where a variant is as accurate as the reference
_FURTHER_TESTS = (
    10  # tests whose inputs are known beforehand, in the bound on inputs without expected values
)
_PERMUTATIONS, _SEED, _SLOTS = 20, 0, 256  # as in testbudget compare
_LOWEST_LEAD = -0.3  # points

STATIC, OUTPUTS = "static", "calibrated"
VOTES, INPUTS = "calibrated by votes", "calibrated with further inputs"
"""Ways to pick: the reference's rule; the default rule with outputs, by votes, or with more inputs."""


@dataclass(frozen=True, slots=True)
class Variant:
    """A way to pick and a policy.

    Attributes:
        name: name in the tables.
        picks: one of the four ways to pick.
        policy: name of the policy.
        has_goal: True if it is held against the goals.
    """

    name: str
    picks: str
    policy: str = Uniform.name
    has_goal: bool = False


REFERENCE = Variant("static reference", STATIC)
SECTIONS: Mapping[str, Sequence[Variant]] = {
    "each alone": (
        Variant("calibrated by votes", VOTES, has_goal=True),
        Variant("calibrated with outputs", OUTPUTS, has_goal=True),
        Variant("adaptive", STATIC, Adaptive.name),
        Variant("proportional, predicted", STATIC, Proportional.name),
        Variant("greedy, predicted", STATIC, Greedy.name),
    ),
    "together, without outputs": (
        Variant("votes + proportional", VOTES, Proportional.name),
        Variant("votes + adaptive", VOTES, Adaptive.name, has_goal=True),
    ),
    "together, with outputs": (
        Variant("outputs + proportional", OUTPUTS, Proportional.name),
        Variant("outputs + greedy", OUTPUTS, Greedy.name),
        Variant("outputs + adaptive", OUTPUTS, Adaptive.name, has_goal=True),
    ),
    "bounds, which no run can reach": (
        Variant("outputs of further inputs", INPUTS),
        Variant("the same + adaptive", INPUTS, Adaptive.name),
        Variant("votes + true curves", VOTES, OracleCurves.name),
        Variant("outputs + true curves", OUTPUTS, OracleCurves.name),
    ),
}
VARIANTS = (REFERENCE, *(variant for section in SECTIONS.values() for variant in section))


@dataclass(frozen=True, slots=True, eq=False)
class PartData:
    """Recorded tests of a part of a run, or of a whole run.

    Attributes:
        name: name in the tables.
        recordings: by problem, with outputs.
        further: the same, with the outputs of further inputs before the first test.
        predicted: pass rates predicted from hidden states.
    """

    name: str
    recordings: Sequence[RecordedTests]
    further: Sequence[RecordedTests]
    predicted: PredictedPassRates

    @property
    def available(self) -> NDArray[np.int_]:
        """Recorded tests of each problem, int (problems,)."""
        return np.asarray([recording.tests for recording in self.recordings])

    @property
    def false_negative_rate(self) -> float:
        """Share of the correct candidates that a test fails, mean over the problems that have some."""
        problems = [LabeledProblem.of(recording) for recording in self.recordings]
        return float(
            np.mean([1 - one.passed[:, one.correct].mean() for one in problems if one.correct.any()])
        )


def part_data(run: Path, parts: Sequence[str], permutations: int, every: int) -> list[PartData]:
    """Parts of a recorded run, of every n-th problem."""
    whole, trace = recorded_tests(run)[::every], read_trace(run)
    predicted = predict_pass_rates(
        "learned",
        trace,
        functools.partial(learned_pass_rates, seed=_SEED),
        permutations=permutations,
        seed=_SEED,
    )
    predicted = replace(predicted, pass_rates=predicted.pass_rates[:, ::every])
    found = []
    for name in parts:
        chosen = whole
        if name != AS_RECORDED:
            chosen = [
                keep_part(one, name, np.random.default_rng([SEED, number]))
                for number, one in enumerate(whole)
            ]
        further = []
        for number, (one, part) in enumerate(zip(whole, chosen, strict=True)):
            drawn = np.random.default_rng([SEED, number, 1]).permutation(one.indices[one.rows >= 0])
            further.append(with_inputs_of(part, drawn[:_FURTHER_TESTS].tolist()))
        title = name if run == RECORDED_RUN else run.name
        found.append(PartData(title, chosen, further, predicted))
    return found


def evaluate(data: PartData, caps: Sequence[int], permutations: int) -> dict[Variant, NDArray[np.float64]]:
    """Accuracy of the picks of every variant, float64 (permutations, problems, caps).

    The rule of the reference at each cap is the one that is better there with equal budgets.
    """
    without_outputs = [replace(recording, recorded_outputs=None) for recording in data.recordings]
    found: dict[Variant, NDArray[np.float64]] = {}

    def evaluated(picks: str, rules: Sequence[str], recorded: Sequence[RecordedTests]) -> list[_ByPolicy]:
        by_rule = permuted_runs(
            recorded,
            [selection_rule(name) for name in rules],
            permutations=permutations,
            counts=[1],
            z=2.0,
            seed=_SEED,
        )
        names = [variant.policy for variant in VARIANTS if variant.picks == picks]
        return [_accuracy_by_policy(runs, names, data, caps) for runs in by_rule]

    static = evaluated(STATIC, STATIC_RULES, without_outputs)
    equal = np.stack([by_policy[Uniform.name].mean(axis=(0, 1)) for by_policy in static])
    better = equal.argmax(axis=0)
    for variant in VARIANTS:
        if variant.picks == STATIC:
            by_rule = np.stack([by_policy[variant.policy] for by_policy in static])
            found[variant] = np.stack([by_rule[rule, :, :, cap] for cap, rule in enumerate(better)], axis=2)
    for picks, recorded in ((VOTES, without_outputs), (OUTPUTS, data.recordings), (INPUTS, data.further)):
        (by_policy,) = evaluated(picks, ["calibrated"], recorded)
        found |= {variant: by_policy[variant.policy] for variant in VARIANTS if variant.picks == picks}
    return found


_ByPolicy = Mapping[str, NDArray[np.float64]]


def _accuracy_by_policy(
    runs: PermutedRuns, policies: Sequence[str], data: PartData, caps: Sequence[int]
) -> _ByPolicy:
    """Accuracy by policy, float64 (permutations, problems, caps)."""
    found = {}
    for setup in policy_setups(runs, policies, [data.predicted], _SEED):
        problems = len(data.available)
        granted = setup.granted([cap * problems for cap in caps], data.available, _SEED, _SLOTS)
        found[setup.combination.policy] = np.take_along_axis(
            runs.accuracy, np.moveaxis(granted, 0, 2), axis=2
        )
    return found


@dataclass(frozen=True, slots=True)
class VariantFigures:
    """Figures of one variant.

    Attributes:
        accuracy: in %, by cap.
        lead: points over the static reference, by cap.
        needed: tests per problem with which it is as accurate as the reference at the last cap; infinite
            if the last cap is not enough.
    """

    accuracy: tuple[float, ...]
    lead: tuple[Interval, ...]
    needed: Interval


def variant_figures(
    evaluated: Mapping[Variant, NDArray[np.float64]], caps: Sequence[int]
) -> dict[Variant, VariantFigures]:
    """Figures of all variants, from one bootstrap paired by problem and permutation."""
    columns = 100 * np.concatenate(list(evaluated.values()), axis=2)
    means = bootstrap_means(columns, _SEED)
    by_variant = dict(zip(evaluated, np.split(means, len(evaluated), axis=1), strict=True))
    reference = by_variant[REFERENCE]
    found = {}
    for variant, values in by_variant.items():
        lead = values - reference
        needed = first_crossing(reference[:, -1], values, np.asarray(caps, np.float64))
        found[variant] = VariantFigures(
            tuple(values[0].tolist()),
            tuple(intervals(lead)),
            Interval.of(needed[0], needed[1:]),
        )
    return found


def show(data: PartData, found: Mapping[Variant, VariantFigures], caps: Sequence[int]) -> None:
    """Print the table of a part."""
    tests = data.available.mean()
    print(
        f"\n{data.name}: {len(data.recordings)} problems with {tests:.1f} tests, "
        f"which fail {100 * data.false_negative_rate:.0f} % of the correct candidates"
    )
    places = [place for place, cap in enumerate(caps) if cap in SHOWN_CAPS]
    head = "".join(f"{caps[place]:>12}" for place in places)
    print(f"{'':<30}{head}   as accurate as the reference at {caps[-1]} with")
    accuracy = "".join(f"{found[REFERENCE].accuracy[place]:>7.1f}     " for place in places)
    print(f"{REFERENCE.name:<30}{accuracy}   {caps[-1]}")
    for section, variants in SECTIONS.items():
        print(section)
        for variant in variants:
            texts = "".join(f"{_points(found[variant].lead[place]):>12}" for place in places)
            print(f"  {variant.name:<28}{texts}   {_tests(found[variant].needed, caps[-1])}", flush=True)


def _points(lead: Interval) -> str:
    return f"{lead.value:+.1f} ±{(lead.high - lead.low) / 2:.1f}"


def _tests(needed: Interval, last_cap: int) -> str:
    def words(tests: float) -> str:
        return f"{tests:.1f}" if math.isfinite(tests) else f">{last_cap}"

    return f"{words(needed.value)} [{words(needed.low)}, {words(needed.high)}]"


def show_goals(
    found: Mapping[str, Mapping[Variant, VariantFigures]], caps: Mapping[str, Sequence[int]]
) -> None:
    """Print the variants that have a goal, by part, and where they miss it."""
    print(
        f"\nGoals: never more than {-_LOWEST_LEAD} points below the reference, and its accuracy at the "
        f"last cap\nwith half of the tests, or better a quarter\n"
        f"{'':<48}{'lowest lead':>14}{'at':>4}{'':>10}{'share of the tests':>20}"
    )
    for part, by_variant in found.items():
        for variant, one in by_variant.items():
            if variant.has_goal:
                leads = [(lead.value, lead, cap) for cap, lead in zip(caps[part], one.lead, strict=True)]
                lowest, lead, cap = min(leads, key=lambda row: row[0])
                share = one.needed.value / caps[part][-1]
                reached = "a quarter" if share <= 0.25 else "a half" if share <= 0.5 else "missed"
                print(
                    f"{f'{part}, {variant.name}':<48}{_points(lead):>14}{cap:>4}"
                    f"{'kept' if lowest >= _LOWEST_LEAD else 'missed':>10}"
                    f"{f'{share:.2f}' if math.isfinite(share) else 'never':>14}  {reached}"
                )


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--permutations", type=int, default=_PERMUTATIONS, help="of the tests (default: %(default)s)"
    )
    parser.add_argument(
        "--quick", action="store_true", help="every sixth problem, 3 permutations, fewer parts"
    )
    arguments = parser.parse_args()
    permutations, every, parts = arguments.permutations, 1, COMPARED_PARTS
    if arguments.quick:
        permutations, every, parts = 3, 6, COMPARED_PARTS[::3]
    found: dict[str, dict[Variant, VariantFigures]] = {}
    caps_of: dict[str, Sequence[int]] = {}
    for run, names in ((RECORDED_RUN, parts), (MBPP, COMPARED_PARTS[:1])):
        for data in part_data(run, names, permutations, every):
            caps = [cap for cap in sorted((*SHOWN_CAPS, *_CAPS_BETWEEN)) if cap <= data.available.mean()]
            caps_of[data.name] = caps
            found[data.name] = variant_figures(evaluate(data, caps, permutations), caps)
            show(data, found[data.name], caps)
    show_goals(found, caps_of)
    print()
    print(json.dumps({name: figures(one, caps_of[name]) for name, one in found.items()}))
    return 0


def figures(found: Mapping[Variant, VariantFigures], caps: Sequence[int]) -> dict[str, Any]:
    """All figures of a part, rounded."""

    def bounds(interval: Interval) -> list[float | None]:
        values = (interval.value, interval.low, interval.high)
        return [round(value, 2) if math.isfinite(value) else None for value in values]

    return {
        "tests per problem": caps,
        "variants": {
            variant.name: {
                "accuracy": [round(value, 2) for value in one.accuracy],
                "lead": [bounds(lead) for lead in one.lead],
                "as accurate as the reference at the last cap with": bounds(one.needed),
            }
            for variant, one in found.items()
        },
    }


if __name__ == "__main__":
    sys.exit(main())

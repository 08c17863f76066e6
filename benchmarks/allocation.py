"""What each lever of allocation and selection is worth, alone and together, by how good the tests are.

All is held against the static reference: equal budgets, with the better of majority and consensus at each
cap. What is learned of a problem is learned from other problems. Nothing is executed.
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
from parts import AS_RECORDED, MBPP, REGIMES, SEED, Problem, of_tests, recordings
from recorded import RECORDED_RUN

from testbudget.analysis.compare.evaluate import PolicySetup, policy_setups
from testbudget.analysis.compare.settings import STATIC_RULES
from testbudget.difficulty.predictions import Predictor, learned_pass_rates, make_predictor
from testbudget.policies.adaptive import Adaptive
from testbudget.policies.curves import OracleCurves
from testbudget.policies.greedy import Greedy
from testbudget.policies.proportional import Proportional
from testbudget.policies.uniform import Uniform
from testbudget.rewards.selection.registry import selection_rule
from testbudget.rewards.statistics import Interval, bootstrap_means, first_crossing, intervals
from testbudget.scheduler.simulation import PermutedRuns, permuted_runs
from testbudget.traces.learning_curves import RecordedTests, allocate_recorded
from testbudget.traces.tables import read_trace

PARTS = (AS_RECORDED, "middle third", "worst third", "one in six right")
CAPS = (1, 2, 3, 5, 8, 12, 20)
"""Tests per problem that are shown."""

_BETWEEN = (4, 6, 10, 15)  # played too, to see where a lever gets as good as the reference
_FURTHER = 10  # tests whose inputs are known beforehand, in the upper bound of input-only evidence
_ORDERS, _SEED = 20, 0  # as testbudget compare has them
_ALLOWED = -0.3  # points below the static reference

STATIC, GROUPS, VOTES, INPUTS = "static", "auto", "auto by votes", "auto with further inputs"
"""What picks: the reference's rule, or ``auto`` with outputs, without, or with more than tests bring."""


@dataclass(frozen=True, slots=True)
class Lever:
    """A way to pick and a way to allocate.

    Attributes:
        name: in a few words.
        picks: one of the four above.
        policy: by name.
        judged: whether it is held against the goals.
    """

    name: str
    picks: str
    policy: str = Uniform.name
    judged: bool = False


REFERENCE = Lever("static reference", STATIC)
SECTIONS: Mapping[str, Sequence[Lever]] = {
    "each alone": (
        Lever("auto by votes", VOTES, judged=True),
        Lever("auto by behaviour groups", GROUPS, judged=True),
        Lever("adaptive", STATIC, Adaptive.name),
        Lever("proportional, predicted", STATIC, Proportional.name),
        Lever("greedy, predicted", STATIC, Greedy.name),
    ),
    "together, without outputs": (
        Lever("votes + proportional", VOTES, Proportional.name),
        Lever("votes + adaptive", VOTES, Adaptive.name, judged=True),
    ),
    "together, with outputs": (
        Lever("groups + proportional", GROUPS, Proportional.name),
        Lever("groups + greedy", GROUPS, Greedy.name),
        Lever("groups + adaptive", GROUPS, Adaptive.name, judged=True),
    ),
    "what no run can have": (
        Lever("groups + other tests' inputs", INPUTS),
        Lever("the same + adaptive", INPUTS, Adaptive.name),
        Lever("votes + true curves", VOTES, OracleCurves.name),
        Lever("groups + true curves", GROUPS, OracleCurves.name),
    ),
}
LEVERS = (REFERENCE, *(lever for section in SECTIONS.values() for lever in section))


@dataclass(frozen=True, slots=True, eq=False)
class Regime:
    """Problems with recorded tests.

    Attributes:
        name: in a few words.
        recordings: with outputs.
        further: the same, with inputs that are known before the first test.
        believed: the pass rates that were learned from hidden states.
    """

    name: str
    recordings: Sequence[RecordedTests]
    further: Sequence[RecordedTests]
    believed: Predictor

    @property
    def available(self) -> NDArray[np.int_]:
        """Tests of each problem."""
        return np.asarray([recording.tests for recording in self.recordings])

    @property
    def rejected(self) -> float:
        """How often a right candidate fails a test; mean over problems."""
        problems = [Problem.of(recording) for recording in self.recordings]
        return float(
            np.mean([1 - one.passed[:, one.correct].mean() for one in problems if one.correct.any()])
        )


def regimes(run: Path, parts: Sequence[str], orders: int, every: int) -> list[Regime]:
    """A recorded run, as it is and with parts of its tests; of its problems each n-th."""
    whole, trace = recordings(run)[::every], read_trace(run)
    believed = make_predictor(
        "learned", trace, functools.partial(learned_pass_rates, seed=_SEED), permutations=orders, seed=_SEED
    )
    believed = replace(believed, pass_rates=believed.pass_rates[:, ::every])
    found = []
    for name in parts:
        chosen = whole
        if name != AS_RECORDED:
            chosen = [
                of_tests(one, REGIMES[name](Problem.of(one), np.random.default_rng([SEED, number])).ravel())
                for number, one in enumerate(whole)
            ]
        further = []
        for number, (one, part) in enumerate(zip(whole, chosen, strict=True)):
            drawn = np.random.default_rng([SEED, number, 1]).permutation(one.indices[one.rows >= 0])
            further.append(with_inputs_of(part, drawn[:_FURTHER].tolist()))
        title = name if run == RECORDED_RUN else run.name
        found.append(Regime(title, chosen, further, believed))
    return found


def play(regime: Regime, caps: Sequence[int], orders: int) -> dict[Lever, NDArray[np.float64]]:
    """Accuracy of every lever's picks, shape (orders, problems, caps).

    The reference's rule at each cap is the one that is better there with equal budgets.
    """
    blind = [replace(recording, recorded_outputs=None) for recording in regime.recordings]
    found: dict[Lever, NDArray[np.float64]] = {}

    def of(picks: str, rules: Sequence[str], recorded: Sequence[RecordedTests]) -> list[_Played]:
        made = permuted_runs(
            recorded, [selection_rule(name) for name in rules], orders=orders, counts=[1], z=2.0, seed=_SEED
        )
        names = [lever.policy for lever in LEVERS if lever.picks == picks]
        return [_played(field, names, regime, caps) for field in made]

    static = of(STATIC, STATIC_RULES, blind)
    equal = np.stack([played[Uniform.name].mean(axis=(0, 1)) for played in static])
    better = equal.argmax(axis=0)
    for lever in LEVERS:
        if lever.picks == STATIC:
            each = np.stack([played[lever.policy] for played in static])
            found[lever] = np.stack([each[rule, :, :, cap] for cap, rule in enumerate(better)], axis=2)
    for picks, recorded in ((VOTES, blind), (GROUPS, regime.recordings), (INPUTS, regime.further)):
        (played,) = of(picks, ["auto"], recorded)
        found |= {lever: played[lever.policy] for lever in LEVERS if lever.picks == picks}
    return found


_Played = Mapping[str, NDArray[np.float64]]


def _played(field: PermutedRuns, policies: Sequence[str], regime: Regime, caps: Sequence[int]) -> _Played:
    """Accuracy by policy, shape (orders, problems, caps)."""
    found = {}
    for contestant in policy_setups(field, policies, [regime.believed], _SEED):
        grants = np.stack([_granted(contestant, regime.available, cap) for cap in caps], axis=2)
        found[contestant.combination.policy] = np.take_along_axis(field.accuracy, grants, axis=2)
    return found


def _granted(contestant: PolicySetup, available: NDArray[np.int_], cap: int) -> NDArray[np.int32]:
    """Tests by order and problem."""
    return np.stack(
        [
            allocate_recorded(contestant.policy(order, available, _SEED), cap * len(available), courses)
            for order, courses in enumerate(contestant.runs.learning_curves)
        ]
    )


@dataclass(frozen=True, slots=True)
class Worth:
    """What became of a lever; accuracy in %.

    Attributes:
        accuracy: by cap.
        lead: over the static reference, by cap.
        needed: tests per problem with which it is as accurate as the reference at the last cap; infinite
            where that takes more than these.
    """

    accuracy: tuple[float, ...]
    lead: tuple[Interval, ...]
    needed: Interval


def worth(played: Mapping[Lever, NDArray[np.float64]], caps: Sequence[int]) -> dict[Lever, Worth]:
    """Figures of all levers, from one bootstrap that is paired by problem and by order."""
    columns = 100 * np.concatenate(list(played.values()), axis=2)
    means = bootstrap_means(columns, _SEED)
    of_levers = dict(zip(played, np.split(means, len(played), axis=1), strict=True))
    reference = of_levers[REFERENCE]
    found = {}
    for lever, values in of_levers.items():
        lead = values - reference
        needed = first_crossing(reference[:, -1], values, np.asarray(caps, np.float64))
        found[lever] = Worth(
            tuple(values[0].tolist()),
            tuple(intervals(lead)),
            Interval.of(needed[0], needed[1:]),
        )
    return found


def show(regime: Regime, found: Mapping[Lever, Worth], caps: Sequence[int]) -> None:
    """Prints a regime's table."""
    tests = regime.available.mean()
    print(
        f"\n{regime.name}: {len(regime.recordings)} problems with {tests:.1f} tests, "
        f"of which a right candidate fails {100 * regime.rejected:.0f} %"
    )
    places = [place for place, cap in enumerate(caps) if cap in CAPS]
    head = "".join(f"{caps[place]:>12}" for place in places)
    print(f"{'':<30}{head}   as good as the reference at {caps[-1]} with")
    accuracy = "".join(f"{found[REFERENCE].accuracy[place]:>7.1f}     " for place in places)
    print(f"{REFERENCE.name:<30}{accuracy}   {caps[-1]}")
    for section, levers in SECTIONS.items():
        print(section)
        for lever in levers:
            cells = "".join(f"{_points(found[lever].lead[place]):>12}" for place in places)
            print(f"  {lever.name:<28}{cells}   {_tests(found[lever].needed, caps[-1])}", flush=True)


def _points(lead: Interval) -> str:
    return f"{lead.value:+.1f} ±{(lead.high - lead.low) / 2:.1f}"


def _tests(needed: Interval, most: int) -> str:
    def words(tests: float) -> str:
        return f"{tests:.1f}" if math.isfinite(tests) else f">{most}"

    return f"{words(needed.value)} [{words(needed.low)}, {words(needed.high)}]"


def show_goals(found: Mapping[str, Mapping[Lever, Worth]], caps: Mapping[str, Sequence[int]]) -> None:
    """Prints what the rules that notice the regime come to, and all levers together, against the goals."""
    print(
        f"\nGoals: never more than {-_ALLOWED} points below the reference, and its accuracy at the last\n"
        f"cap with half of the tests, or better a quarter\n"
        f"{'':<48}{'lowest lead':>14}{'at':>4}{'':>10}{'share of the tests':>20}"
    )
    for regime, of_levers in found.items():
        for lever, one in of_levers.items():
            if lever.judged:
                shown = [(lead.value, lead, cap) for cap, lead in zip(caps[regime], one.lead, strict=True)]
                low, lead, cap = min(shown, key=lambda cell: cell[0])
                share = one.needed.value / caps[regime][-1]
                reached = "a quarter" if share <= 0.25 else "a half" if share <= 0.5 else "missed"
                print(
                    f"{f'{regime}, {lever.name}':<48}{_points(lead):>14}{cap:>4}"
                    f"{'kept' if low >= _ALLOWED else 'missed':>10}"
                    f"{f'{share:.2f}' if math.isfinite(share) else 'never':>14}  {reached}"
                )


def main() -> int:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--orders", type=int, default=_ORDERS, help="of the tests (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="each sixth problem, 3 orders, fewer parts")
    arguments = parser.parse_args()
    orders, every, parts = (3, 6, PARTS[::3]) if arguments.quick else (arguments.orders, 1, PARTS)
    found: dict[str, dict[Lever, Worth]] = {}
    of_regime: dict[str, Sequence[int]] = {}
    for run, names in ((RECORDED_RUN, parts), (MBPP, PARTS[:1])):
        for regime in regimes(run, names, orders, every):
            caps = [cap for cap in sorted((*CAPS, *_BETWEEN)) if cap <= regime.available.mean()]
            of_regime[regime.name] = caps
            found[regime.name] = worth(play(regime, caps, orders), caps)
            show(regime, found[regime.name], caps)
    show_goals(found, of_regime)
    print()
    print(json.dumps({name: figures(of, of_regime[name]) for name, of in found.items()}))
    return 0


def figures(found: Mapping[Lever, Worth], caps: Sequence[int]) -> dict[str, Any]:
    """All figures of a regime, rounded."""

    def bounds(estimate: Interval) -> list[float | None]:
        values = (estimate.value, estimate.low, estimate.high)
        return [round(value, 2) if math.isfinite(value) else None for value in values]

    return {
        "tests per problem": caps,
        "levers": {
            lever.name: {
                "accuracy": [round(value, 2) for value in one.accuracy],
                "lead": [bounds(lead) for lead in one.lead],
                "as good as the reference at the last cap with": bounds(one.needed),
            }
            for lever, one in found.items()
        },
    }


if __name__ == "__main__":
    sys.exit(main())

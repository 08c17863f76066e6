"""Scaling of policies with the number of problems: start, grants per second, memory.

Grants go through ``ask`` and ``tell``.
"""

import argparse
import json
import sys
import time
import tracemalloc
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from testbudget.policies.base import Policy
from testbudget.policies.gain_model import DifficultyBins, GainModel, GainModelAssignment
from testbudget.policies.names import POLICY_NAMES
from testbudget.policies.registry import create_policy, policy_class

SEED = 7
SIZES: tuple[int, ...] = (10_000, 100_000, 1_000_000)
SMALL_BATCHES = (1_000, 10_000)
TESTS_PER_PROBLEM, TESTS_PER_PROBLEM_QUICK = 5, 2
_MAX_TESTS = 100
_P_WRONG = np.random.default_rng(SEED).random(1009).tolist()  # told in turn


@dataclass(frozen=True, slots=True)
class ScaleFigures:
    """Figures of one policy for one number of problems.

    Attributes:
        batch: tests asked for at a time.
        start: CPU-seconds until the first ask is answered.
        grants, tests: numbers granted in total.
        rate: grants per CPU-second, through ask and tell.
        wall_rate: grants per second on the clock.
        kept, peak: bytes per problem, between asks and at most.
    """

    policy: str
    problems: int
    batch: int
    start: float
    grants: int
    tests: int
    rate: float
    wall_rate: float
    kept: float
    peak: float


def policy_inputs(problems: int) -> dict[str, Any]:
    """Predicted pass rates and gain models of so many problems."""
    curve = 0.4 + 0.3 * (1 - 0.8 ** np.arange(21.0))
    gain_model = GainModel(
        "majority",
        curve,
        None,
        np.array([1, 2, 3, 5, 8, 12, 20]),
        np.linspace(0.6, 0.3, 7),
        np.full(7, 1.2),
        DifficultyBins(np.linspace(0.2, 0.8, 4), np.outer(np.linspace(0.2, 1, 5), curve)),
    )
    gain_models = GainModelAssignment((gain_model,) * 10, np.arange(problems) % 10)
    return {"pass_rates": np.random.default_rng(SEED).beta(0.5, 0.8, problems), "gain_models": gain_models}


def spend(policy: Policy, cap: int, batch: int) -> tuple[int, int]:
    """Spend a cap through ask and tell, with one tell per grant; returns the grants and the tests."""
    grants, remaining = 0, cap
    while remaining and (granted := policy.ask(min(batch, remaining))):
        for grant in granted:
            policy.tell(grant.problem, _P_WRONG[(grant.problem + grants) % len(_P_WRONG)])
        grants += len(granted)
        remaining -= sum(grant.tests for grant in granted)
    return grants, cap - remaining


def measure(name: str, problems: int, batch: int, cap: int) -> ScaleFigures:
    """Figures of one policy. Memory is measured in a separate run, which is slower."""
    inputs = policy_inputs(problems)
    cpu_start = time.process_time()
    policy = create_policy(name, problems, **inputs, max_tests=_MAX_TESTS, seed=SEED)
    policy.ask(min(batch, cap))
    start = time.process_time() - cpu_start
    policy = create_policy(name, problems, **inputs, max_tests=_MAX_TESTS, seed=SEED)
    cpu_start, wall_start = time.process_time(), time.perf_counter()
    grants, tests = spend(policy, cap, batch)
    cpu_seconds, wall_seconds = time.process_time() - cpu_start, time.perf_counter() - wall_start
    del policy
    tracemalloc.start()
    policy = create_policy(name, problems, **inputs, max_tests=_MAX_TESTS, seed=SEED)
    spend(policy, min(cap, 3 * batch), batch)
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return ScaleFigures(
        name,
        problems,
        batch,
        start,
        grants,
        tests,
        grants / cpu_seconds,
        grants / wall_seconds,
        kept / problems,
        peak / problems,
    )


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--quick", action="store_true", help="up to 100,000 problems, two tests each: under a minute"
    )
    arguments = parser.parse_args()
    sizes, per_problem = SIZES, TESTS_PER_PROBLEM
    if arguments.quick:
        sizes, per_problem = SIZES[:2], TESTS_PER_PROBLEM_QUICK
    print(
        f"{'policy':<14}{'problems':>10}{'batch':>9}{'start, s':>10}{'grants':>10}{'grants/s':>11}"
        f"{'clock':>11}{'bytes kept':>12}{'at most':>9}"
    )
    found = []
    for name in (name for name in POLICY_NAMES if not policy_class(name).uses_curves):
        cases = [(size, size // 10) for size in sizes]
        if not policy_class(name).static:
            cases += [(sizes[-1], batch) for batch in SMALL_BATCHES if batch < sizes[-1] // 10]
        for problems, batch in cases:
            # Small batches are timed on part of the cap: each ask is a pass over all problems.
            cap = min(per_problem * problems, 100 * batch)
            figures = measure(name, problems, batch, cap)
            found.append(figures)
            print(
                f"{name:<14}{problems:>10,}{batch:>9,}{figures.start:>10.3f}{figures.grants:>10,}"
                f"{figures.rate:>11,.0f}{figures.wall_rate:>11,.0f}{figures.kept:>12.0f}{figures.peak:>9.0f}",
                flush=True,
            )
    print()
    print(json.dumps({"figures": [asdict(one) for one in found]}))
    return 0


if __name__ == "__main__":
    sys.exit(main())

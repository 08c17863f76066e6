"""Scaling of decisions with the number of problems and of tests asked for: start, time per ask, memory.

Each policy is asked by the scheduler's core for 1, 100 or 10,000 tests at a time, as results come in.
"""

import argparse
import itertools
import json
import sys
import time
import tracemalloc
from collections import deque
from collections.abc import Iterable
from dataclasses import asdict, dataclass

import numpy as np

from testbudget.policies.base import PolicyContext
from testbudget.policies.gain_model import DifficultyBins, GainModel, GainModelAssignment
from testbudget.policies.names import POLICY_NAMES
from testbudget.policies.registry import create_policy, policy_class
from testbudget.scheduler.core import events as e
from testbudget.scheduler.core.events import Cap, Command, Ints, RunStarted
from testbudget.scheduler.core.planner import Grants
from testbudget.scheduler.core.scheduler import Scheduler

SEED = 7
SIZES: tuple[int, ...] = (10_000, 100_000, 1_000_000)
ASKS: tuple[int, ...] = (1, 100, 10_000)
_TESTS_PER_PROBLEM = 5
_MAX_TESTS = 100
_MAX_ASKS = 2_000
_SECONDS, _SECONDS_QUICK = 4.0, 0.3  # of CPU time that asks are timed for
_MEMORY_SIZE = 100_000  # problems, the most for which memory is traced, which is slow
_P_WRONG = np.random.default_rng(SEED).random(1009)


@dataclass(frozen=True, slots=True)
class ScaleFigures:
    """Figures of one policy for one number of problems and one size of asks.

    Attributes:
        ask: tests told between two decisions, so that so many are asked for.
        start: CPU-seconds until the first tests are granted, one for each problem.
        asks, grants, tests: numbers of those after the start.
        per_ask, per_grant: CPU-microseconds in the core, telling and assessing included.
        kept, peak: bytes per problem of policy and core, between asks and at most; None if not traced.
    """

    policy: str
    problems: int
    ask: int
    start: float
    asks: int
    grants: int
    tests: int
    per_ask: float
    per_grant: float
    kept: float | None
    peak: float | None


def policy_context(problems: int) -> PolicyContext:
    """Predicted pass rates and gain models of so many problems."""
    curve = 0.4 + 0.3 * (1 - 0.8 ** np.arange(21.0))
    gain_model = GainModel(
        "majority",
        curve,
        DifficultyBins(np.linspace(0.2, 0.8, 4), np.outer(np.linspace(0.2, 1, 5), curve)),
    )
    gain_models = GainModelAssignment((gain_model,) * 10, np.arange(problems) % 10)
    pass_rates = np.random.default_rng(SEED).beta(0.5, 0.8, problems)
    return PolicyContext(problems, SEED, pass_rates=pass_rates, gain_models=gain_models)


class AskedCore:
    """Core of a run whose tests are generated at once and executed so many at a time.

    The window holds as many tests as there are problems, and at least four asks.

    Args:
        policy: name of the policy.
        context: its inputs.
        ask: tests told between two decisions.

    Attributes:
        seconds: CPU-seconds in the core since the last call of :meth:`reset`.
        asks, grants, tests: numbers since then.
    """

    def __init__(self, policy: str, context: PolicyContext, ask: int) -> None:
        problems = context.problems
        started = RunStarted(
            problems=problems,
            seed=SEED,
            cap=Cap({"tests": _TESTS_PER_PROBLEM * problems}),
            max_tests=np.full(problems, _MAX_TESTS),
            min_tests=0,
            window=max(problems, 4 * ask),
            quantum=ask,
        )
        self._ask = ask
        self._unexecuted: deque[Ints] = deque()
        self._core = Scheduler(
            started, lambda _: create_policy(policy, context), needs_all=True, on_grant=self._granted
        )
        self.reset()
        begun = time.process_time()
        commands = self._core.start()
        self.seconds += time.process_time() - begun
        self._obey(commands)

    def reset(self) -> None:
        """Begin to count anew."""
        self.seconds, self.asks, self.grants, self.tests = 0.0, 0, 0, 0

    def execute(self) -> bool:
        """Execute as many tasks as an ask has tests; False if there are none."""
        if not self._unexecuted:
            return False
        tasks = np.concatenate(self._unexecuted)
        self._unexecuted.clear()
        now, later = tasks[: self._ask], tasks[self._ask :]
        if len(later):
            self._unexecuted.append(later)
        none = np.zeros(len(now), np.int64)
        self._obey(self._handle(e.Executed(now, none, self._core.tasks.tests[now], none)))
        return True

    def _obey(self, commands: Iterable[Command]) -> None:
        queue = deque(commands)
        while queue:
            match queue.popleft():
                case e.Sample(tasks, _):
                    queue += self._handle(e.Sampled(tasks, np.ones_like(tasks)))
                case e.Generate(tasks, _, _, tests):
                    queue += self._handle(e.Generated(tasks, tests))
                case e.Execute(tasks):
                    self._unexecuted.append(tasks)
                case e.Assess(tasks, problems, tests):
                    p_wrong = _P_WRONG[(problems + tests) % len(_P_WRONG)]
                    harmful = np.zeros(len(tasks), np.bool_)
                    ones = np.ones_like(tasks)
                    queue += self._handle(e.Assessed(tasks, p_wrong, ones, harmful, p_wrong / 2))

    def _handle(self, event: e.Event) -> list[Command]:
        begun = time.process_time()
        commands = self._core.handle(event)
        self.seconds += time.process_time() - begun
        return commands

    def _granted(self, grants: Grants) -> None:
        self.asks += 1
        self.grants += len(grants.tasks)
        self.tests += int(grants.tests.sum())


def measure(name: str, problems: int, ask: int, seconds: float) -> ScaleFigures:
    """Figures of one policy. Memory is traced in a separate run, which is slower."""
    context = policy_context(problems)
    core = AskedCore(name, context, ask)
    start = core.seconds
    core.reset()
    while core.seconds < seconds and core.asks < _MAX_ASKS and core.execute():
        pass
    asks, grants = max(core.asks, 1), max(core.grants, 1)
    kept, peak = _memory(name, context, ask) if problems <= _MEMORY_SIZE else (None, None)
    return ScaleFigures(
        name,
        problems,
        ask,
        start,
        core.asks,
        core.grants,
        core.tests,
        1e6 * core.seconds / asks,
        1e6 * core.seconds / grants,
        kept,
        peak,
    )


def _memory(name: str, context: PolicyContext, ask: int) -> tuple[float, float]:
    tracemalloc.start()
    core = AskedCore(name, context, ask)
    core.execute()
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return kept / context.problems, peak / context.problems


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="up to 100,000 problems: under a minute")
    quick = parser.parse_args().quick
    sizes, seconds = (SIZES[:2], _SECONDS_QUICK) if quick else (SIZES, _SECONDS)
    print(
        f"{'policy':<14}{'problems':>10}{'ask':>8}{'start, s':>10}{'asks':>7}{'grants':>10}"
        f"{'us/ask':>10}{'us/grant':>10}{'bytes kept':>12}{'at most':>9}"
    )
    found = []
    names = [name for name in POLICY_NAMES if "curves" not in policy_class(name).needs]
    for name, problems, ask in itertools.product(names, sizes, ASKS):
        one = measure(name, problems, ask, seconds)
        found.append(one)
        memory = "" if one.kept is None else f"{one.kept:>12.0f}{one.peak:>9.0f}"
        print(
            f"{name:<14}{problems:>10,}{ask:>8,}{one.start:>10.3f}{one.asks:>7,}{one.grants:>10,}"
            f"{one.per_ask:>10,.0f}{one.per_grant:>10.2f}{memory}",
            flush=True,
        )
    print()
    print(json.dumps({"figures": [asdict(one) for one in found]}))
    return 0


if __name__ == "__main__":
    sys.exit(main())

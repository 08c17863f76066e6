"""The scheduler's core on a simulated clock: use of the engines, spending and makespan under caps.

Engines and runners obey their leases. What they do takes as long as in the recorded run.
"""

import argparse
import itertools
import json
import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from recorded_work import SEED, SEQUENCES, RecordedWork
from simulated_workers import SimulatedWorkers, TaskDone, WorkerPool

from testbudget.policies.registry import create_policy, policy_class
from testbudget.scheduler.core import events as e
from testbudget.scheduler.core.events import Command, Event, WorkerKind
from testbudget.scheduler.core.planner import UNLIMITED, Grants
from testbudget.scheduler.core.scheduler import Scheduler
from testbudget.scheduler.core.tasks import TaskState
from testbudget.scheduler.simulation import ROUNDS, Pace, simulate

POLICIES = ("uniform", "adaptive")
SIZES = ((4, 1_000), (4, 5_000), (32, 1_000), (32, 5_000))  # engines, problems
METERED = {"gpu_seconds": WorkerKind.REWARD_MODEL, "cpu_seconds": WorkerKind.RUNNER}
PARTS = (2.0, 1.0, 0.5)  # of what the job needs
_RUNNERS = 64
_TESTS_PER_PROBLEM = 8
_PERMUTATIONS, _PERMUTATIONS_QUICK = 31, 2
_TIMED_PROBLEMS, _TIMED_PROBLEMS_QUICK = 100_000, 20_000
_STEPS_PER_CHECK = 2_000  # of the core's invariants
_LONGEST_SILENCE = 300.0  # simulated seconds without a result, after which a run counts as stuck
_OPEN_PER_SLOT = 4  # problems; with fewer, one untold task a problem bounds the makespan


@dataclass(frozen=True, slots=True)
class Cell:
    """A simulated job.

    Attributes:
        engines, problems, policy: what it is made of; the cap counts 8 tests per problem.
        quantity: metered quantity that the cap bounds too; None for tests alone.
        part: of what the job needs of the quantity with a cap in tests alone.
        rounds: True for a decision only when all granted tests are told.
    """

    engines: int
    problems: int
    policy: str
    quantity: str | None = None
    part: float = 1.0
    rounds: bool = False

    @property
    def slots(self) -> int:
        """Tests that all engines generate at once."""
        return self.engines * SEQUENCES

    @property
    def cap(self) -> str:
        """The cap in words."""
        if self.quantity is None:
            return "tests, in rounds" if self.rounds else "tests alone"
        return f"{self.part:g} x {self.quantity}"

    def header(self, limit: float, max_tests: int) -> e.RunStarted:
        """Header of the run.

        Without a metered cap a static policy decides once, since nothing of it will be cut off.
        """
        pace = ROUNDS if self.rounds else Pace.of_slots(self.slots, self.problems)
        window = UNLIMITED if policy_class(self.policy).static and self.quantity is None else pace.window
        limits = {} if self.quantity is None else {self.quantity: limit}
        return e.RunStarted(
            problems=self.problems,
            seed=SEED,
            cap=e.Cap({"tests": _TESTS_PER_PROBLEM * self.problems, **limits}),
            max_tests=np.full(self.problems, max_tests),
            min_tests=0,
            window=window,
            quantum=pace.quantum,
        )


@dataclass(frozen=True, slots=True)
class CellFigures:
    """Figures of a cell.

    Attributes:
        busy: share of the engines' slots at work up to the end of generation.
        as_tests_alone: the same, divided by the share with a cap in tests alone up to the same moment.
        redone: work of the engines that was done again after the end of a lease, as a share of their work.
        makespan: seconds up to the last result, or to the end of generation that was cut off.
        bounds: least seconds by the work of the engines, by that of the runners, and by the longest
            chain of tasks of one problem.
        used: GPU-seconds and CPU-seconds that the workers have really used.
        over: of these, beyond the cap; negative for what is left.
        tests: told.
        cut: tasks that the cap ended.
        core_seconds: CPU-seconds in the core.
        events: events of the run.
    """

    cell: Cell
    busy: float
    as_tests_alone: float
    redone: float
    makespan: float
    bounds: tuple[float, float, float]
    used: dict[str, float]
    over: float
    tests: int
    cut: int
    core_seconds: float
    events: int

    @property
    def over_ideal(self) -> float:
        """Makespan by the largest bound."""
        return self.makespan / max(self.bounds)


class SimulatedRun:
    """One run: what the driver, the back end and the assessor would do.

    Args:
        cell: the job.
        limit: of its metered quantity.
        work: work and results of its problems.
    """

    def __init__(self, cell: Cell, limit: float, work: RecordedWork) -> None:
        self.cell, self.limit, self.work = cell, limit, work
        metered = () if cell.quantity is None else (METERED[cell.quantity],)
        self.workers = SimulatedWorkers(cell.engines, SEQUENCES, _RUNNERS, metered)
        started = cell.header(limit, work.generation.shape[1])
        self.core = Scheduler(started, lambda _: create_policy(cell.policy, work.context))
        self.chains = np.zeros(cell.problems)
        self.makespan = self.core_seconds = 0.0
        self.events = 0

    def play(self) -> None:
        """Run to the end.

        Raises:
            RuntimeError: the run is stuck.
        """
        self._send(self.core.start())
        for joined in self.workers.joined():
            self._send(self._handle(joined))
        while not self.core.finished:
            message = self.workers.wait()
            if isinstance(message, TaskDone):
                self.makespan = self.workers.now
                self._send(self._handle(self._result(message)))
            else:
                self._send(self._handle(message))
            if self.workers.now > self.makespan + _LONGEST_SILENCE:
                raise RuntimeError(f"{self.cell} is stuck: {self.core.books}")
        self.core.validate()

    def figures(self, alone: "SimulatedRun | None") -> CellFigures:
        """Figures of the finished run.

        Args:
            alone: the same job with a cap in tests alone; None for that job itself.
        """
        engines, runners, slots = self.workers.engines, self.workers.runners, self.cell.slots
        busy = _busy_share(engines, engines.last)
        reference = _busy_share((alone or self).workers.engines, engines.last)
        used = {"gpu_seconds": engines.used, "cpu_seconds": runners.used}
        return CellFigures(
            self.cell,
            busy,
            busy / reference,
            engines.redone / (engines.busy + engines.redone),
            max(self.makespan, engines.last),
            (engines.busy / slots, runners.busy / _RUNNERS, float(self.chains.max())),
            used,
            used[self.cell.quantity] - self.limit if self.cell.quantity else 0.0,
            int(self.core.books.spent["tests"]),
            int(self.core.tasks.count[TaskState.CUT]),
            self.core_seconds,
            self.events,
        )

    def _handle(self, event: Event) -> list[Command]:
        self.events += 1
        if self.events % _STEPS_PER_CHECK == 0:
            self.core.validate()
        begun = time.process_time()
        commands = self.core.handle(event)
        self.core_seconds += time.process_time() - begun
        return commands

    def _send(self, commands: Iterable[Command]) -> None:
        queue = deque(commands)
        while queue:
            match queue.popleft():
                case e.Generate(tasks, problems, first, tests):
                    for task, problem, start, count in _rows(tasks, problems, first, tests):
                        seconds = self.work.generation[problem, start : start + count].tolist()
                        self.workers.submit(self.workers.engines, task, seconds)
                case e.Execute(tasks, problems, first, tests, _):
                    for task, problem, start, count in _rows(tasks, problems, first, tests):
                        seconds = float(self.work.execution[problem, start : start + count].sum())
                        self.workers.submit(self.workers.runners, task, [seconds])
                case e.Lease(worker, until):
                    self.workers.lease(worker, until)
                case e.Abort(tasks):
                    self.workers.abort(tasks.tolist())
                case e.Sample(tasks, problems):
                    queue += self._handle(e.Sampled(tasks, self.work.programs[problems]))
                case e.Label(problems):
                    queue += self._handle(e.Labelled(problems))
                case e.Assess(tasks, problems, tests):
                    p_wrong = self.work.estimates.p_wrong[problems, tests]
                    p_change = self.work.estimates.p_change[problems, tests]
                    harmful = np.zeros(len(tasks), np.bool_)
                    queue += self._handle(
                        e.Assessed(tasks, p_wrong, self.work.programs[problems], harmful, p_change)
                    )

    def _result(self, done: TaskDone) -> Event:
        table, tasks, none = self.core.tasks, np.array([done.task]), np.zeros(1, np.int64)
        problem, first = int(table.problem[done.task]), int(table.first[done.task])
        tests = slice(first, first + int(table.tests[done.task]))
        usable = self.work.usable[problem, tests].sum(keepdims=True)
        if done.kind == WorkerKind.REWARD_MODEL:
            self.chains[problem] += self.work.generation[problem, tests].max()
            return e.Generated(tasks, usable)
        self.chains[problem] += self.work.execution[problem, tests].sum()
        return e.Executed(tasks, none, usable * self.work.programs[problem], none)


def _rows(*columns: e.Ints) -> Iterable[tuple[int, ...]]:
    return zip(*(column.tolist() for column in columns), strict=True)


def _busy_share(engines: WorkerPool, until: float) -> float:
    """Share of the slots at work up to a moment, or up to the end of generation."""
    times, summed = np.transpose(engines.profile)
    until = min(until, engines.last)
    return float(np.interp(until, times, summed)) / (engines.slots * until)


def job_figures(
    engines: int, problems: int, policy: str, work: RecordedWork, parts: Sequence[float]
) -> Iterator[CellFigures]:
    """Figures of a job under all caps, that in tests alone first, then the same in rounds."""

    def played(cell: Cell, limit: float = np.inf) -> SimulatedRun:
        run = SimulatedRun(cell, limit, work)
        run.play()
        return run

    alone = played(Cell(engines, problems, policy))
    yield (needed := alone.figures(None))
    yield played(Cell(engines, problems, policy, rounds=True)).figures(alone)
    for quantity, part in itertools.product(METERED, parts):
        limit = part * needed.used[quantity]
        yield played(Cell(engines, problems, policy, quantity, part), limit).figures(alone)


def grants_per_second(policy: str, work: RecordedWork) -> float:
    """Grants per CPU-second of the core, answered at once with the estimates of the recorded run."""
    problems = len(work.programs)
    grants = 0

    def count(granted: Grants) -> None:
        nonlocal grants
        grants += len(granted.tasks)

    made = create_policy(policy, work.context)
    max_tests = np.full(problems, work.generation.shape[1])
    begun = time.process_time()
    simulate(
        made,
        _TESTS_PER_PROBLEM * problems,
        max_tests,
        work.estimates,
        pace=Pace.of_slots(4 * SEQUENCES, problems),
        seed=SEED,
        on_grant=count,
    )
    return grants / (time.process_time() - begun)


def show(one: CellFigures) -> None:
    """Print a row of the table."""
    cell, bounds = one.cell, dict(zip(("engines", "runners", "chain"), one.bounds, strict=True))
    bound = max(bounds, key=lambda name: bounds[name])
    spent = "" if cell.quantity is None else f"{one.used[cell.quantity]:,.1f}"
    left = "" if cell.quantity is None else f"{-one.over:,.2f}"
    print(
        f"{cell.engines:>7}{cell.problems:>9,}  {cell.policy:<9} {cell.cap:<17}{one.busy:>7.3f}"
        f"{one.as_tests_alone:>9.3f}{one.redone:>7.3f}{spent:>10}{left:>9}{one.tests:>8,}{one.cut:>7,}"
        f"{one.makespan:>9.1f}{max(one.bounds):>8.1f} {bound:<8}{one.over_ideal:>6.2f}"
        f"{1e6 * one.core_seconds / one.events:>9.0f}",
        flush=True,
    )


def summary(found: Sequence[CellFigures]) -> dict[str, float]:
    """The worst of all cells; of those with four problems per slot where fewer cannot fill the slots."""
    run = [one for one in found if not one.cell.rounds]
    many = [one for one in run if one.cell.problems >= _OPEN_PER_SLOT * one.cell.slots]

    def worst(quantity: str) -> float:
        return min(one.as_tests_alone for one in run if one.cell.quantity == quantity)

    return {
        "busy_share_uncapped": min(one.busy for one in many if one.cell.quantity is None),
        "busy_share_gpu_cap": worst("gpu_seconds"),
        "busy_share_cpu_cap": worst("cpu_seconds"),
        "overspend": max(0.0, *(one.over for one in run)),
        "makespan_over_ideal": max(one.over_ideal for one in many),
    }


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="4 engines, fewer caps")
    quick = parser.parse_args().quick
    recorded = RecordedWork.of_recording(_PERMUTATIONS_QUICK if quick else _PERMUTATIONS)
    print(
        f"{'engines':>7}{'problems':>9}  {'policy':<9} {'cap':<17}{'busy':>7}{'as alone':>9}{'redone':>7}"
        f"{'spent':>10}{'left':>9}{'tests':>8}{'cut':>7}{'makespan':>9}{'bound':>8} {'by':<8}{'ratio':>6}"
        f"{'us/event':>9}"
    )
    found: list[CellFigures] = []
    for (engines, problems), policy in itertools.product(SIZES[:2] if quick else SIZES, POLICIES):
        parts = PARTS[2 if problems > SIZES[0][1] else 1 :] if quick else PARTS
        for one in job_figures(engines, problems, policy, recorded.repeated(problems), parts):
            found.append(one)
            show(one)
    many = recorded.repeated(_TIMED_PROBLEMS_QUICK if quick else _TIMED_PROBLEMS)
    rates = {
        f"grants_per_second_{'static' if policy_class(name).static else 'adaptive'}": round(
            grants_per_second(name, many)
        )
        for name in POLICIES
    }
    print()
    figures = {name: round(value, 3) for name, value in summary(found).items()} | rates
    for name, value in figures.items():
        print(f"{name:<28}{value:>12,}")
    print()
    print(json.dumps({**figures, "cells": [asdict(one) for one in found]}))
    return 0


if __name__ == "__main__":
    sys.exit(main())

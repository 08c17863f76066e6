"""Answers to the core's commands, functions of the command alone, and commands of single tasks."""

from dataclasses import fields

import numpy as np

from testbudget.policies.base import Policy
from testbudget.scheduler.core import events as e
from testbudget.scheduler.core.scheduler import Scheduler

INPUTS = 3
STOPS = np.array([1, 2, 3, 5, 8, 12, 20, 30, 45, 70, 100, 150, 225, 340, 500])


class Doubtful(Policy):
    """f / (m + 1), f by p_wrong: as adaptive, without a gain model."""

    name = "doubtful"
    static = False

    def __init__(self, problems):
        self.f = np.ones(problems)

    @classmethod
    def from_context(cls, context):
        return cls(context.problems)

    def values(self, problems, granted):
        return self.f[problems] / (granted + 1)

    def increments(self, granted):
        return STOPS[np.searchsorted(STOPS, granted, side="right")] - granted

    def observe(self, problems, granted, p_wrong, p_change):
        self.f[problems] = np.clip(0.2 + 1.6 * p_wrong, 0.1, 5)


class Equal(Policy):
    name = "equal"
    static = True

    @classmethod
    def from_context(cls, context):
        return cls()

    def values(self, problems, granted):
        return 1.0 / (granted + 1)


def p_wrong(problems, tests):
    return (np.sin(problems * 12.9898 + tests * 78.233) * 43758.5453) % 1


def answer(command):
    """What a driver would answer."""
    match command:
        case e.Sample(tasks, problems):
            return e.Sampled(tasks, 1 + problems % 3)
        case e.Extract(tasks, problems):
            return e.Extracted(tasks, (problems % 5) / 5)
        case e.Label(problems):
            return e.Labelled(problems)
        case e.Generate(tasks, problems, first, tests):
            return e.Generated(tasks, np.where((problems + first) % 4 == 3, 0, tests))
        case e.Execute(tasks, problems, first, tests, rungs):
            # Two rungs where there are several tests.
            left = np.where((rungs == 0) & (tests > 1), tests // 2, 0)
            done = np.where(rungs == 0, tests - left, tests // 2)
            each = (1 + problems % 3 // 2) * np.where(first < 0, INPUTS, 1)
            return e.Executed(tasks, rungs, done * each, left)
        case e.Assess(tasks, problems, tests):
            harmful = (problems % 7 == 6) & (tests > 4)
            p = p_wrong(problems, tests)
            return e.Assessed(tasks, p, 1 + problems % 3, harmful, p / 2)
    return None


def split(command):
    """A command as commands of single tasks, which finish in any order; an assessment stays whole."""
    if not isinstance(command, (e.Sample, e.Extract, e.Label, e.Generate, e.Execute)):
        return [command]
    columns = [getattr(command, field.name) for field in fields(command)]
    return [type(command)(*(column[[i]] for column in columns)) for i in range(len(columns[0]))]


def flat(commands):
    return [one for command in commands for one in split(command)]


def make(
    *,
    n=5,
    tests=40,
    executions=None,
    window=30,
    share=4,
    static=False,
    extracts=False,
    limits=None,
    minimum=0,
    checks=(),
    inputs=0,
    inputs_price=1.0,
    on_grant=None,
):
    """A scheduler of n problems; ``share`` quanta make a window."""
    counted = {"tests": tests} | ({"executions": executions} if executions else {})
    started = e.RunStarted(
        problems=n,
        seed=0,
        cap=e.Cap(counted | (limits or {})),
        max_tests=np.full(n, 12),
        min_tests=minimum,
        window=window,
        quantum=max(1, window // share),
        checks=checks,
        inputs=inputs,
        inputs_price=inputs_price,
    )
    return Scheduler(
        started, lambda rates: Equal() if static else Doubtful(n), extracts=extracts, on_grant=on_grant
    )


def run_in_order(core):
    """Answer every command in the order of commands; the undisturbed run."""
    queue = flat(core.start())
    while queue:
        event = answer(queue.pop(0))
        if event is not None:
            queue += flat(core.handle(event))
            core.validate()
    return core


def grants(core):
    granted = core.tasks.tests > 0
    return [column[granted].tolist() for column in (core.tasks.problem, core.tasks.first, core.tasks.tests)]


def fold(scheduler, events):
    """Bring a new scheduler to the state that a log leads to. Its commands were sent before."""
    scheduler.start()
    for event in events:
        scheduler.handle(event)
    return scheduler

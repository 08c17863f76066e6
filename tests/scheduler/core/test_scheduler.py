"""Whatever the order of completions, failures and crashes: the same grants, and the cap is kept."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from testbudget.executors.metering import Usage
from testbudget.rewards.problem import WRITTEN_INPUTS
from testbudget.scheduler.core import events as e
from testbudget.scheduler.core.scheduler import Scheduler
from testbudget.scheduler.core.tasks import TaskState

from .commands import INPUTS, Doubtful, answer, flat, fold, grants, make, run_in_order

SHAPES = st.fixed_dictionaries(
    {
        "n": st.integers(1, 7),
        "tests": st.integers(1, 60),
        "executions": st.one_of(st.none(), st.integers(1, 200)),
        "window": st.one_of(st.integers(1, 30), st.just(2**62)),
        "share": st.sampled_from([1, 2, 8, 2**62]),
        "static": st.booleans(),
        "extracts": st.booleans(),
        "minimum": st.integers(0, 3),
        "checks": st.sampled_from([(), (5, 9, 16)]),
        "inputs": st.sampled_from([0, INPUTS]),
    }
)
_SETTINGS = settings(max_examples=60, deadline=None)


@_SETTINGS
@given(shape=SHAPES, data=st.data())
def test_any_interleaving_of_completions_failures_and_crashes_gives_the_same_grants(shape, data):
    expected = run_in_order(make(**shape))
    assert expected.finished
    core, log, ghosts, failed = make(**shape), [], [], {}
    flight = flat(core.start())
    while flight:
        command = flight.pop(data.draw(st.integers(0, len(flight) - 1)))
        if (event := answer(command)) is None:
            continue
        what = data.draw(
            st.sampled_from(["done"] * 4 + ["failed", "twice", "crash before log", "crash after log"])
        )
        number = int(getattr(event, "tasks", [-1])[0])
        assesses = isinstance(event, e.Assessed)
        if what == "failed" and not assesses and number >= 0 and failed.get(number, 0) < 2:
            failed[number] = failed.get(number, 0) + 1
            log.append(e.Failed(event.tasks))
            ghosts.append(event)  # its answer may come all the same, later
            flight += flat(core.handle(log[-1]))
        elif what == "crash before log":
            flight.append(command)
        else:
            log.append(event)
            if what != "crash after log":
                flight += flat(core.handle(event))
        if what == "twice" or (ghosts and data.draw(st.booleans())):
            log.append(ghosts.pop() if ghosts else event)
            flight += flat(core.handle(log[-1]))
        if what.startswith("crash"):
            log.append(e.DriverRestarted())
            core = fold(make(**shape), log)
            flight = flat(core.pending())
        core.validate()
    assert core.finished
    assert grants(core) == grants(expected)
    assert core.problems.p_wrong.tolist() == pytest.approx(expected.problems.p_wrong.tolist(), nan_ok=True)
    assert core.books == expected.books
    n = shape["n"]
    assert [core.closed_because(i) for i in range(n)] == [expected.closed_because(i) for i in range(n)]
    assert core.books.spent["tests"] <= shape["tests"]
    if shape["executions"]:
        assert core.books.spent["executions"] <= shape["executions"]


class Worker:
    """Burns as much as it likes, but stops at its lease; the driver hears of it late or never."""

    def __init__(self, kind):
        self.kind, self.until, self.used = kind, 0.0, 0.0


@_SETTINGS
@given(shape=SHAPES, metered=st.floats(0.5, 30), by_price=st.booleans(), data=st.data())
def test_a_metered_cap_bounds_what_is_burnt_even_by_workers_that_are_lost(shape, metered, by_price, data):
    price = 2.0 if by_price else 1.0
    limits = {"usd": metered * price} if by_price else {"gpu_seconds": metered}

    def new():
        core = make(**shape, limits=limits)
        core._budget.change(e.Cap(core._budget.cap.limits, {"gpu_seconds": price}))
        return core

    def slice_of():
        return Usage(0.0, 1.0, 0.0)

    def obey(commands):
        for command in flat(commands):
            if isinstance(command, e.Lease):
                if command.worker in workers:
                    worker = workers[command.worker]
                    worker.until = max(worker.until, command.until.gpu_seconds)
            elif answer(command) is not None:
                flight.append(command)

    def happen(event):
        log.append(event)
        obey(core.handle(event))

    core, log, workers, gone, flight, number = new(), [], {}, 0.0, [], 0
    obey(core.start())
    for _ in range(data.draw(st.integers(0, 60))):
        match data.draw(
            st.sampled_from(["join", "burn", "burn", "report", "report", "lose", "done", "done", "restart"])
        ):
            case "join" if len(workers) < 4:
                workers[number] = Worker(e.WorkerKind.REWARD_MODEL)
                happen(e.WorkerJoined(number, e.WorkerKind.REWARD_MODEL, slice_of()))
                number += 1
            case "burn" if workers:
                one = workers[data.draw(st.sampled_from(sorted(workers)))]
                one.used = min(one.until, one.used + data.draw(st.floats(0, 2)))
            case "report" if workers:
                one = data.draw(st.sampled_from(sorted(workers)))
                happen(e.WorkerMetered(one, Usage(0.0, workers[one].used, 0.0), slice_of()))
            case "lose" if workers:
                one = data.draw(st.sampled_from(sorted(workers)))
                gone += workers.pop(one).used
                happen(e.WorkerLost(one))
                if data.draw(
                    st.booleans()
                ):  # its last report, too late: the whole lease is charged already
                    happen(e.WorkerMetered(one, Usage(0.0, gone, 0.0), slice_of()))
            case "done" if flight:
                happen(answer(flight.pop(data.draw(st.integers(0, len(flight) - 1)))))
            case "restart":
                gone += sum(worker.used for worker in workers.values())
                workers.clear()
                log.append(e.DriverRestarted())
                core = fold(new(), log)
                flight = []
                obey(core.pending())
        core.validate()
        assert gone + sum(worker.used for worker in workers.values()) <= metered + 1e-6
    again = fold(new(), log)
    assert grants(again) == grants(core)
    assert again.books == core.books


def test_many_problems_that_do_not_fit_are_closed_at_once():
    n, programs = 3000, np.full(3000, 20)
    programs[7] = 1
    started = e.RunStarted(n, 0, e.Cap({"executions": 1}), np.full(n, 12), 0, window=30, quantum=5)
    core = Scheduler(started, lambda _: Doubtful(n))
    core.start()
    *_, generate = (
        one for one in core.handle(e.Sampled(np.arange(n), programs)) if isinstance(one, e.Generate)
    )
    assert generate.problems.tolist() == [7]
    assert core.closed_because(0) == "cap"


def test_a_run_whose_engines_use_up_their_cap_ends_and_counts_what_it_cut():
    core = make(n=4, tests=40, window=8, limits={"gpu_seconds": 2.0})
    queue = flat(core.start())
    joined = core.handle(e.WorkerJoined(0, e.WorkerKind.REWARD_MODEL, Usage(0.0, 1.0, 0.0)))
    until = joined[0].until.gpu_seconds
    used = 0.0
    while queue:
        command = queue.pop(0)
        if isinstance(command, e.Lease):
            until = command.until.gpu_seconds
            continue
        if isinstance(command, e.Abort):
            aborted = set(command.tasks.tolist())
            queue = [one for one in queue if not aborted & set(getattr(one, "tasks", np.zeros(0)).tolist())]
            continue
        if (event := answer(command)) is None:
            continue
        if isinstance(command, e.Generate):
            step = min(0.2, until - used)
            used += step
            queue += flat(core.handle(e.WorkerMetered(0, Usage(0.0, used, 0.0), Usage(0.0, 1.0, 0.0))))
            if step < 0.2:
                queue.append(command)  # the lease ended first
                if core.tasks.state[command.tasks[0]] == TaskState.CUT:
                    queue.pop()
                continue
        queue += flat(core.handle(event))
        core.validate()
    assert core.finished
    assert core.tasks.count[TaskState.CUT] > 0
    assert 1.9 < core.books.spent["gpu_seconds"] <= 2.0
    assert core.closed_because(0) == "cap"


def test_a_task_that_fails_again_and_again_is_quarantined_and_closes_its_problem_alone():
    core = make(n=3, tests=20)
    queue = flat(core.start())
    while queue:
        command = queue.pop(0)
        event = answer(command)
        if isinstance(command, e.Execute) and command.problems[0] == 1:
            event = e.Failed(command.tasks)
        if event is not None:
            queue += flat(core.handle(event))
            core.validate()
    assert core.finished
    assert core.closed_because(1) == "quarantined"
    assert core.problems.granted[0] + core.problems.granted[2] == 20 - core.problems.granted[1]


def test_a_task_that_workers_die_of_is_quarantined_at_once_and_told_without_a_vote():
    core = make(n=3, window=3)
    for command in core.start():
        commands = core.handle(answer(command))
    generate = next(command for command in commands if isinstance(command, e.Generate))
    task, problem = generate.tasks[:1], int(generate.problems[0])
    core.handle(e.Quarantined(task))
    core.validate()
    assert core.tasks.state[task[0]] in (TaskState.QUARANTINED,)
    assert core.closed_because(problem) == "quarantined"


def test_a_paused_run_grants_nothing_until_it_continues():
    core = make(n=3, tests=9)
    core.handle(e.Paused())
    queue = flat(core.start())
    while queue:
        if (event := answer(queue.pop(0))) is not None:
            queue += flat(core.handle(event))
    assert not core.finished
    assert core.problems.granted.sum() == 0
    queue = flat(core.handle(e.Continued()))
    while queue:
        if (event := answer(queue.pop(0))) is not None:
            queue += flat(core.handle(event))
    assert core.finished
    assert core.problems.granted.sum() == 9


def test_a_raised_cap_is_spent_too():
    core = make(n=3, tests=6, limits=None)
    queue = flat(core.start())
    raised = False
    while queue:
        if (event := answer(queue.pop(0))) is not None:
            queue += flat(core.handle(event))
        if not raised and core.problems.granted.sum() == 6 and not core.finished:
            raised = True
            queue += flat(core.handle(e.CapChanged(e.Cap({"tests": 12}))))
    assert core.problems.granted.sum() == 12


@pytest.mark.parametrize("static", [True, False])
def test_a_window_of_everything_makes_rounds(static):
    seen = []
    core = make(n=6, tests=30, static=static, window=2**62, share=1, on_grant=seen.append)
    run_in_order(core)
    told = 0
    for grant in seen:
        assert grant.tasks[0] == told + 6  # all earlier tasks were told when the next round was granted
        told += len(grant.tasks)


def test_budgets_of_a_static_policy_are_equal_whatever_the_window():
    for window, share in ((30, 4), (7, 2), (2**62, 2**60), (2**62, 1)):
        core = run_in_order(make(n=5, tests=40, window=window, share=share, static=True))
        assert sorted(core.problems.granted.tolist()) == [8] * 5


def test_after_a_cap_is_used_up_what_was_done_is_told_in_quanta_not_one_by_one():
    core = make(n=40, tests=400, window=40, share=4, limits={"gpu_seconds": 2.0})
    queue, held, assessments = flat(core.start()), [], 0
    while queue:
        command = queue.pop(0)
        if isinstance(command, e.Generate) and 40 in command.tasks:
            # All others wait for the first grant.
            held.append(command)
        elif (event := answer(command)) is not None:
            queue += flat(core.handle(event))
    assert held
    (lease,) = core.handle(e.WorkerJoined(0, e.WorkerKind.REWARD_MODEL, Usage(0.0, 1.0, 0.0)))
    commands = [lease]
    while not any(isinstance(command, e.Abort) for command in commands):
        until = next(command.until for command in commands if isinstance(command, e.Lease))
        commands = core.handle(
            e.WorkerMetered(0, Usage(gpu_seconds=until.gpu_seconds), Usage(0.0, 1.0, 0.0))
        )
    queue = flat(commands)
    while queue:
        assessments += isinstance(queue[0], e.Assess)
        if (event := answer(queue.pop(0))) is not None:
            queue += flat(core.handle(event))
            core.validate()
    assert core.finished
    assert core.problems.told.sum() == 40
    assert 1 <= assessments <= 5


@pytest.mark.parametrize("dollars", [4.0, 30.0])
def test_a_cap_in_dollars_pays_for_executions_and_for_the_engine_that_they_wait_for(dollars):
    prices = {"executions": 0.005, "gpu_seconds": 0.01}
    started = e.RunStarted(
        50, 0, e.Cap({"usd": dollars}, prices), np.full(50, 500), 0, window=256, quantum=32, assesses=False
    )
    core, slice_ = Scheduler(started, lambda _: Doubtful(50)), Usage(0.0, 5.0)
    queue, until, used, joined = flat(core.start()), 0.0, 0.0, False
    while queue:
        match command := queue.pop(0):
            case e.Lease():
                until, event = max(until, command.until.gpu_seconds), None
            case e.Sample(tasks):
                event = e.Sampled(tasks, np.full(len(tasks), 20))
            case e.Generate(tasks, _, _, tests):
                if core.tasks.state[tasks[0]] == TaskState.CUT:
                    continue
                if not joined:
                    joined = True
                    queue = flat(core.handle(e.WorkerJoined(0, e.WorkerKind.REWARD_MODEL, slice_))) + queue
                    until = max([until, *(one.until[1] for one in queue if isinstance(one, e.Lease))])
                step = min(0.5 * tests[0], until - used)
                used += step
                queue = flat(core.handle(e.WorkerMetered(0, Usage(0.0, used), slice_))) + queue
                event = e.Generated(tasks, tests) if step == 0.5 * tests[0] else None
                queue += [] if event else [command]
            case e.Execute(tasks, _, _, tests, rungs):
                event = e.Executed(tasks, rungs, tests * 10, np.array([0]))
            case _:
                event = answer(command)
        if event is not None:
            queue += flat(core.handle(event))
            core.validate()
    assert core.finished
    assert 0.85 * dollars < core.books.spent["usd"] <= dollars


@pytest.mark.parametrize("static", [True, False])
@pytest.mark.parametrize("executions", [None, 9])
def test_a_raised_cap_goes_on_with_what_the_first_had_ended_and_a_fold_says_the_same(static, executions):
    core = make(n=4, tests=6, executions=executions, static=static, window=8)
    log, queue = [], [command for command in flat(core.start()) if not isinstance(command, e.Label)]
    labels = []
    changed = False
    while queue or not changed:
        if not queue:  # all that the first cap pays for is done; labels are still to come
            assert not core.finished
            changed = True
            event = e.CapChanged(e.Cap({"tests": 30} | ({"executions": 90} if executions else {})))
        else:
            event = answer(command := queue.pop(0))
            if isinstance(command, e.Label):
                labels.append(event)
                continue
        if event is not None:
            log.append(event)
            queue += flat(core.handle(event))
            core.validate()
    assert core.problems.told.sum() == 30
    for event in labels or [e.Labelled(np.arange(4))]:
        log.append(event)
        core.handle(event)
    log.append(e.Labelled(np.arange(4)))
    core.handle(log[-1])
    assert core.finished
    other = make(n=4, tests=6, executions=executions, static=static, window=8)
    assert grants(fold(other, log)) == grants(core)


@pytest.mark.parametrize("static", [True, False])
def test_inputs_take_the_place_of_the_next_test_once_they_are_worth_their_price(static):
    core = run_in_order(make(n=4, tests=20, static=static, inputs=INPUTS))
    for problem, programs in enumerate([1, 2, 3, 1]):
        own = [first for one, first, _ in zip(*grants(core), strict=True) if one == problem]
        assert programs == 1 or own[:2] == [0, WRITTEN_INPUTS]
        assert own.count(WRITTEN_INPUTS) == (programs > 1)
        assert [first for first in own if first >= 0] == sorted(first for first in own if first >= 0)
    assert core.books.spent["tests"] == 20
    assert core.problems.told.sum() == 18


def test_a_static_policy_leaves_tests_for_the_inputs_and_keeps_budgets_even():
    core = run_in_order(make(n=2, tests=11, static=True, inputs=INPUTS))
    assert core.problems.told.tolist() == [5, 5]  # the first has one program, and no inputs


def test_inputs_that_cost_too_much_are_not_written():
    dear = run_in_order(make(tests=20, inputs=INPUTS, inputs_price=100.0))
    assert WRITTEN_INPUTS not in grants(dear)[1]
    # No executions are left for them, but some for tests.
    short = run_in_order(make(n=3, tests=20, executions=5, inputs=INPUTS))
    assert WRITTEN_INPUTS not in grants(short)[1]
    assert short.finished

"""A run whose metered cap is used up."""

from testbudget.executors.metering import Usage
from testbudget.scheduler.core import events as e

from .commands import answer, flat, make


def test_after_a_cap_is_used_up_what_was_done_is_told_in_quanta_not_one_by_one():
    core = make(n=40, tests=400, window=40, share=4, limits={"gpu_seconds": 2.0})
    queue, held, assessments = flat(core.start()), [], 0
    while queue:
        command = queue.pop(0)
        if (
            isinstance(command, e.Generate) and 40 in command.tasks
        ):  # the first grant: all others wait for it
            held.append(command)
        elif (event := answer(command)) is not None:
            queue += flat(core.handle(event))
    assert held
    (lease,) = core.handle(e.WorkerJoined(0, e.WorkerKind.REWARD_MODEL, Usage(0.0, 1.0, 0.0)))
    commands = [lease]
    while not any(isinstance(command, e.Abort) for command in commands):
        until = next(command.until for command in commands if isinstance(command, e.Lease))
        commands = core.handle(
            e.WorkerMetered(0, until._replace(tokens=0.0, cpu_seconds=0.0), Usage(0.0, 1.0, 0.0))
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

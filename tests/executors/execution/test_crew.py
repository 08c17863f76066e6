import os
import signal
from pathlib import Path

import pytest

from testbudget.executors.execution.limits import TestLimits
from testbudget.executors.execution.runner import SandboxError
from testbudget.executors.execution.worker_pool import PairRequest, group_into_blocks, run_blocks
from testbudget.rewards.errors import UserError
from testbudget.rewards.problem import TestKind, Verdict

LIMITS = TestLimits(cpu_seconds=0.2, memory_mib=256)


def blocks_of(count):
    """Blocks that share no text."""
    pairs = [
        PairRequest(f"def f(): return {i}", f"assert f() == {i}", TestKind.ASSERTIONS, entry_point="f")
        for i in range(count)
    ]
    return group_into_blocks(pairs)


def children():
    """The crew's processes; others may come here as orphans, from earlier tests, and go."""
    found = Path("/proc/thread-self/children").read_text().split()
    return {
        int(child) for child in found if b"execution.crew" in Path(f"/proc/{child}/cmdline").read_bytes()
    }


@pytest.mark.parametrize("runners", [1, 2, 9])
def test_every_block_is_run_once_whatever_the_number_of_runners(runners):
    blocks = blocks_of(5)
    finished = list(run_blocks(blocks, LIMITS, runners))
    assert {id(done.block) for done in finished} == {id(block) for block in blocks}
    assert len(finished) == 5
    assert all(done.outcomes.verdicts.tolist() == [[Verdict.PASSED]] for done in finished)


def test_no_blocks_need_no_runner():
    assert list(run_blocks([], LIMITS, 2)) == []


def test_no_process_is_left_when_the_caller_stops_early():
    before = children()
    finished = run_blocks(blocks_of(5), LIMITS, 2)
    next(finished)
    assert len(children() - before) == 2
    finished.close()
    assert children() == before


def test_the_block_of_a_runner_that_dies_is_run_in_another():
    before = children()
    finished = run_blocks(blocks_of(3), LIMITS, 1)
    outcomes = [next(finished).outcomes]
    (member,) = children() - before
    os.kill(member, signal.SIGKILL)
    outcomes += [done.outcomes for done in finished]
    assert [outcome.verdicts.tolist() for outcome in outcomes] == [[[Verdict.PASSED]]] * 3
    assert children() == before


def test_a_block_that_fails_twice_is_an_error(monkeypatch):
    monkeypatch.setattr("sys.executable", "/bin/false")
    before = children()
    with pytest.raises(SandboxError, match="failed twice"):
        list(run_blocks(blocks_of(1), LIMITS, 1))
    assert children() == before


def test_what_the_user_can_mend_is_told_as_such():
    with pytest.raises(UserError, match="moat"):
        list(run_blocks(blocks_of(1), LIMITS, 1, require=["moat"]))

import os
import signal
from pathlib import Path
from textwrap import indent

import pytest

from testbudget.executors.execution.limits import TestLimits
from testbudget.executors.execution.lost_pairs import LOST_SENTENCE
from testbudget.executors.execution.pair_blocks import PairRequest, group_into_blocks
from testbudget.executors.execution.worker_pool import BlockPool
from testbudget.rewards.errors import SandboxError, UserError
from testbudget.rewards.problem import NOT_RUN, TestKind, Verdict
from tests.executors.execution.ending_sandboxes import HOARD, hoarders_end_their_sandboxes

LIMITS = TestLimits(cpu_seconds=0.2, memory_mib=256)


def blocks_of(count):
    """Blocks without common texts."""
    pairs = [
        PairRequest(f"def f(): return {i}", f"assert f() == {i}", TestKind.ASSERT, entry_point="f")
        for i in range(count)
    ]
    return [block for pair in pairs for block in group_into_blocks([pair])]


def children():
    """Ids of the worker processes. The test process may also adopt orphans of earlier tests."""
    found = Path("/proc/thread-self/children").read_text().split()
    return {
        int(child)
        for child in found
        if b"execution.worker_pool" in Path(f"/proc/{child}/cmdline").read_bytes()
    }


def run_all(pool, blocks):
    """All blocks as they finish; further ones are started where there is room."""
    waiting = list(blocks)
    while waiting or pool.running:
        while waiting and pool.has_room:
            pool.start(waiting.pop(0))
        yield from pool.wait()


@pytest.mark.parametrize("runners", [1, 3])
def test_every_block_is_run_once_by_any_number_of_runners(runners):
    blocks = blocks_of(5)
    with BlockPool(LIMITS, runners) as pool:
        finished = list(run_all(pool, blocks))
    assert {id(done.block) for done in finished} == {id(block) for block in blocks}
    assert len(finished) == 5
    assert all(done.block_verdicts.verdicts.tolist() == [[Verdict.PASSED]] for done in finished)


def test_no_runner_is_started_without_blocks_and_none_remains():
    before = children()
    with BlockPool(LIMITS, 2) as pool:
        assert pool.wait() == []
        assert children() == before
        next(run_all(pool, blocks_of(5)))
        assert len(children() - before) == 2
    assert children() == before


def test_a_readable_descriptor_ends_the_wait():
    reading, writing = os.pipe()
    os.write(writing, b"x")
    with BlockPool(LIMITS, 1) as pool:
        assert pool.wait([reading]) == []
    os.close(reading)
    os.close(writing)


def test_the_block_of_a_runner_that_dies_is_run_in_another():
    before = children()
    with BlockPool(LIMITS, 1) as pool:
        finished = run_all(pool, blocks_of(3))
        first = next(finished)
        (worker,) = children() - before
        os.kill(worker, signal.SIGKILL)
        verdicts = [done.block_verdicts.verdicts.tolist() for done in (first, *finished)]
    assert verdicts == [[[Verdict.PASSED]]] * 3
    assert children() == before


def test_pairs_under_which_runners_die_are_lost_and_the_others_are_judged():
    candidate = "def f(x):\n    if x != 1: return x\n" + indent(HOARD, "    ")
    pairs = [PairRequest(candidate, f"assert f({i}) == {i}", TestKind.ASSERT) for i in range(3)]
    (block,) = group_into_blocks(pairs)
    limits = TestLimits(cpu_seconds=2, memory_mib=1024)
    with hoarders_end_their_sandboxes(with_worker=True), BlockPool(limits, 1) as pool:
        (done,) = run_all(pool, [block])
    found = done.block_verdicts
    assert done.block is block
    assert done.layers
    assert found.verdicts.tolist() == [[Verdict.PASSED, NOT_RUN, Verdict.PASSED]]
    assert found.lost.tolist() == [[False, True, False]]
    assert [found.reasons[number].sentence for number in found.reason_of[0]] == [
        "Every assertion of the test holds.",
        LOST_SENTENCE,
        "Every assertion of the test holds.",
    ]


def test_workers_that_can_run_nothing_are_an_error(monkeypatch):
    monkeypatch.setattr("sys.executable", "/bin/false")
    before = children()
    with BlockPool(LIMITS, 1) as pool, pytest.raises(SandboxError, match="every block of pairs fails"):
        list(run_all(pool, blocks_of(1)))
    assert children() == before


def test_an_unknown_required_layer_is_a_user_error():
    with BlockPool(LIMITS, 1, require=["moat"]) as pool, pytest.raises(UserError, match="moat"):
        list(run_all(pool, blocks_of(1)))

import os
import signal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbudget.executors.execution.limits import TestLimits
from testbudget.executors.execution.worker_pool import MAX_TESTS, PairRequest, group_into_blocks, run_blocks
from testbudget.rewards.errors import SandboxError, UserError
from testbudget.rewards.problem import TestKind, Verdict

LIMITS = TestLimits(cpu_seconds=0.2, memory_mib=256)


def blocks_of(count):
    """Blocks without common texts."""
    pairs = [
        PairRequest(f"def f(): return {i}", f"assert f() == {i}", TestKind.ASSERT, entry_point="f")
        for i in range(count)
    ]
    return group_into_blocks(pairs)


def children():
    """Ids of the worker processes. The test process may also adopt orphans of earlier tests."""
    found = Path("/proc/thread-self/children").read_text().split()
    return {
        int(child)
        for child in found
        if b"execution.worker_pool" in Path(f"/proc/{child}/cmdline").read_bytes()
    }


@pytest.mark.parametrize("runners", [1, 2, 9])
def test_every_block_is_run_once_by_any_number_of_runners(runners):
    blocks = blocks_of(5)
    finished = list(run_blocks(blocks, LIMITS, runners))
    assert {id(done.block) for done in finished} == {id(block) for block in blocks}
    assert len(finished) == 5
    assert all(done.block_verdicts.verdicts.tolist() == [[Verdict.PASSED]] for done in finished)


def test_no_runner_is_started_without_blocks():
    assert list(run_blocks([], LIMITS, 2)) == []


def test_no_process_remains_when_the_caller_stops_early():
    before = children()
    finished = run_blocks(blocks_of(5), LIMITS, 2)
    next(finished)
    assert len(children() - before) == 2
    finished.close()
    assert children() == before


def test_the_block_of_a_runner_that_dies_is_run_in_another():
    before = children()
    finished = run_blocks(blocks_of(3), LIMITS, 1)
    first = next(finished)
    (worker,) = children() - before
    os.kill(worker, signal.SIGKILL)
    verdicts = [done.block_verdicts.verdicts.tolist() for done in (first, *finished)]
    assert verdicts == [[[Verdict.PASSED]]] * 3
    assert children() == before


def test_a_block_that_fails_twice_is_an_error(monkeypatch):
    monkeypatch.setattr("sys.executable", "/bin/false")
    before = children()
    with pytest.raises(SandboxError, match="failed twice"):
        list(run_blocks(blocks_of(1), LIMITS, 1))
    assert children() == before


def test_an_unknown_required_layer_is_a_user_error():
    with pytest.raises(UserError, match="moat"):
        list(run_blocks(blocks_of(1), LIMITS, 1, require=["moat"]))


PAIRS = st.lists(
    st.builds(
        PairRequest,
        st.sampled_from("abcdefgh"),
        st.sampled_from("stuvwxyz"),
        st.sampled_from(TestKind),
        st.sampled_from(["python", "javascript"]),
        st.sampled_from([None, "solve"]),
    ),
    max_size=60,
)


def assertions(candidate, test):
    return PairRequest(candidate, test, TestKind.ASSERT)


@given(PAIRS, st.integers(1, 4))
def test_each_pair_is_in_one_block_with_its_own_texts(pairs, runners):
    blocks = group_into_blocks(pairs, runners)
    assert sorted(position for block in blocks for position in block.positions) == list(range(len(pairs)))
    for block in blocks:
        for position, row, column in zip(block.positions, block.rows, block.columns, strict=True):
            test = block.tests[column]
            grouped = PairRequest(
                block.candidates[row], test.code, test.kind, block.language, block.entry_point
            )
            assert grouped == pairs[position]
            assert test.index == column


@given(PAIRS)
def test_a_block_holds_equal_texts_and_equal_pairs_once(pairs):
    blocks = group_into_blocks(pairs)
    for block in blocks:
        assert len(set(block.candidates)) == len(block.candidates)
        assert len({(test.code, test.kind) for test in block.tests}) == len(block.tests)
        assert block.wanted.any(axis=0).all()
        assert block.wanted.any(axis=1).all()
    assert sum(int(block.wanted.sum()) for block in blocks) == len(set(pairs))


def test_pairs_connected_by_common_texts_share_a_block():
    pairs = [assertions("a", "s"), assertions("c", "u"), assertions("b", "t"), assertions("a", "t")]
    blocks = group_into_blocks(pairs)
    assert [block.positions.tolist() for block in blocks] == [[0, 2, 3], [1]]
    assert blocks[0].wanted.tolist() == [[True, True], [False, True]]


def test_pairs_with_different_entry_points_are_in_different_blocks():
    pairs = [PairRequest("a", "s", TestKind.UNITTEST, entry_point=name) for name in ("f", "g", None)]
    assert [block.entry_point for block in group_into_blocks(pairs)] == ["f", "g", None]


def test_blocks_have_bounded_size_and_there_are_enough_for_all_runners():
    pairs = [assertions(f"a{row}", f"s{column}") for row in range(130) for column in range(40)]
    for runners, max_candidates in ((1, 33), (4, 9), (100, 8)):
        blocks = group_into_blocks(pairs, runners)
        assert max(len(block.candidates) for block in blocks) == max_candidates
        assert max(len(block.tests) for block in blocks) == MAX_TESTS


def test_a_long_chain_is_grouped_without_recursion():
    chain = [assertions(f"a{i // 2}", f"s{(i + 1) // 2}") for i in range(4000)]
    assert sum(len(block.positions) for block in group_into_blocks(chain)) == 4000

from hypothesis import given
from hypothesis import strategies as st

from testbudget.executors.execution.pair_blocks import MAX_TESTS, PairRequest, group_into_blocks
from testbudget.rewards.comparison import DEFAULT_COMPARISON, Comparison, TextComparison
from testbudget.rewards.problem import TestKind

PAIRS = st.lists(
    st.builds(
        PairRequest,
        st.sampled_from("abcdefgh"),
        st.sampled_from("stuvwxyz"),
        st.sampled_from(TestKind),
        st.sampled_from(["python", "javascript"]),
        st.sampled_from([None, "solve"]),
        st.sampled_from([DEFAULT_COMPARISON, Comparison(TextComparison.EXACT)]),
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
                block.candidates[row],
                test.code,
                test.kind,
                block.language,
                block.entry_point,
                block.comparison,
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
    pairs = [assertions("a", f"s{number}") for number in range(MAX_TESTS)]
    pairs += [assertions("c", "u"), assertions("b", "s0"), assertions("b", "s1")]
    blocks = group_into_blocks(pairs)
    assert [block.positions.tolist() for block in blocks] == [
        [*range(MAX_TESTS), MAX_TESTS + 1, MAX_TESTS + 2],
        [MAX_TESTS],
    ]
    assert blocks[0].wanted.sum() == MAX_TESTS + 2


def test_pairs_that_share_nothing_fill_blocks_one_after_the_other():
    pairs = [assertions(f"a{number}", f"s{number}") for number in range(100)]
    blocks = group_into_blocks(pairs)
    assert [block.positions.tolist() for block in blocks] == [
        [*range(25 * number, 25 * number + 25)] for number in range(4)
    ]
    assert all(block.wanted.sum() == 25 for block in blocks)


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


def test_pairs_keep_the_positions_that_they_are_given():
    pairs = [assertions("a", "s"), assertions("b", "t"), assertions("a", "u")]
    blocks = group_into_blocks(pairs, positions=[7, 9, 12])
    assert [block.positions.tolist() for block in blocks] == [[7, 9, 12]]
    assert blocks[0].wanted.tolist() == [[True, False, True], [False, True, False]]

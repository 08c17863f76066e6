"""Conformance suite of selection rules.

Each check takes a rule and raises ``AssertionError`` with a sentence if the rule breaks the contract of
`SelectionRule`. ``CHECKS`` holds them all::

    @pytest.mark.parametrize("check", CHECKS)
    def test_my_rule_keeps_the_contract(check):
        check(selection_rule("my_rule"))
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from testbudget.rewards.equivalence import equivalence_groups, merge_equal
from testbudget.rewards.outputs import UNKNOWN, BatchStatistics, Evidence, OutputMatrix
from testbudget.rewards.selection.base import SelectionRule
from testbudget.rewards.selection.batch import batch_statistics
from testbudget.rewards.votes import Votes

_PROBLEMS = 60
_MAX_TESTS, _MAX_CANDIDATES = 7, 9
_RAISED = 3  # output of a call that raised


def check_winners_are_ascending_positions(rule: SelectionRule) -> None:
    """Winners are distinct positions of candidates in ascending order, at least one, of type intp."""
    for evidence in _problems():
        winners = rule.winners(evidence)
        _require(
            isinstance(winners, np.ndarray) and winners.dtype == np.intp and winners.ndim == 1,
            f"winners must be an array of intp with one dimension but got {winners!r}",
        )
        in_range = len(winners) > 0 and winners[0] >= 0 and winners[-1] < evidence.votes.candidates
        _require(
            in_range and bool((np.diff(winners) > 0).all()),
            f"winners must be ascending positions of {evidence.votes.candidates} candidates, at least one, "
            f"but got {winners.tolist()}",
        )


def check_all_candidates_win_before_the_first_test(rule: SelectionRule) -> None:
    """Without a test and without an output, every candidate is tied."""
    for candidates in range(1, _MAX_CANDIDATES):
        winners = rule.winners(Evidence(Votes(candidates))).tolist()
        _require(
            winners == list(range(candidates)),
            f"all {candidates} candidates must win before the first test but got {winners}",
        )


def check_equal_evidence_gives_equal_winners(rule: SelectionRule) -> None:
    """A rule keeps no state between problems, draws nothing, and leaves the evidence as it was."""
    problems = list(_problems())
    first = [rule.winners(evidence).tolist() for evidence in problems]
    again = [rule.winners(evidence).tolist() for evidence in reversed(problems)]
    fresh = [rule.winners(evidence).tolist() for evidence in _problems()]
    _require(
        first == again[::-1] == fresh,
        "equal evidence must give equal winners but a second call, after other problems, gave others",
    )


def check_the_numbers_of_candidates_do_not_matter(rule: SelectionRule) -> None:
    """Candidates in another order win all the same."""
    rng = np.random.default_rng(1)
    for evidence in _problems():
        order = rng.permutation(evidence.votes.candidates)
        winners = rule.winners(evidence)
        renumbered = np.sort(order[rule.winners(evidence.of_candidates(order))])
        _require(
            winners.tolist() == renumbered.tolist(),
            f"candidates {winners.tolist()} win but {renumbered.tolist()} when given in another order",
        )


def check_the_order_of_tests_does_not_matter(rule: SelectionRule) -> None:
    """The same tests in another order pick the same candidates."""
    rng = np.random.default_rng(2)
    for evidence in _problems():
        order = rng.permutation(evidence.votes.tests)
        winners = rule.winners(evidence).tolist()
        reordered = rule.winners(evidence.of_tests(order)).tolist()
        _require(
            winners == reordered,
            f"candidates {winners} win but {reordered} after the same tests in another order",
        )


def check_equal_candidates_win_together(rule: SelectionRule) -> None:
    """Candidates with equal votes and outputs all win, or none of them."""
    for evidence in _problems():
        copies = evidence.of_candidates(np.repeat(np.arange(evidence.votes.candidates), 2))
        won = np.isin(np.arange(copies.votes.candidates), rule.winners(copies))
        groups = equivalence_groups(copies)
        for group in range(groups.max() + 1):
            members = np.flatnonzero(groups == group)
            _require(
                len(set(won[members].tolist())) == 1,
                f"candidates {members.tolist()} have equal votes and outputs but only "
                f"{members[won[members]].tolist()} win",
            )


def check_winners_after_are_those_of_the_first_tests(rule: SelectionRule) -> None:
    """The winners after the first m tests are those of a problem that has no other tests."""
    for evidence in _problems():
        tests = evidence.votes.tests
        for counts in (range(tests + 1), range(0, tests + 1, 3), [tests]):
            won = rule.winners_after(evidence, list(counts))
            shape = (len(counts), evidence.votes.candidates)
            _require(
                won.shape == shape and won.dtype == np.bool_,
                f"winners_after must be bool {shape} but got {won.dtype} {won.shape}",
            )
            for count, row in zip(counts, won, strict=True):
                found, expected = np.flatnonzero(row), rule.winners(evidence.first(count))
                _require(
                    found.tolist() == expected.tolist(),
                    f"winners_after gives {found.tolist()} after {count} of {tests} tests but winners "
                    f"gives {expected.tolist()}",
                )


def check_what_a_rule_uses_is_what_it_says(rule: SelectionRule) -> None:
    """Outputs and batch change no winner of a rule that does not claim to use them."""
    for evidence in _problems():
        winners = rule.winners(evidence).tolist()
        for claimed, flag, field in (
            (rule.uses_outputs, "uses_outputs", "outputs"),
            (rule.uses_batch, "uses_batch", "batch"),
        ):
            without = rule.winners(
                replace(evidence, outputs=None) if field == "outputs" else replace(evidence, batch=None)
            ).tolist()
            _require(
                claimed or winners == without,
                f"{flag} is False but candidates {winners} win with the {field} and {without} without",
            )


def check_merged_candidates_win_as_each_of_them(rule: SelectionRule) -> None:
    """If a rule merges equal candidates, a column that stands for several wins as each of them does."""
    if not rule.merges_equal:
        return
    for evidence in _problems():
        copies = evidence.of_candidates(np.repeat(np.arange(evidence.votes.candidates), 2))
        merged, column = merge_equal(copies)
        winners = rule.winners(copies).tolist()
        spread = np.flatnonzero(np.isin(column, rule.winners(merged))).tolist()
        _require(
            winners == spread,
            f"merges_equal is True but candidates {winners} win and {spread} once equal ones are merged",
        )


CHECKS: Sequence[Callable[[SelectionRule], None]] = (
    check_winners_are_ascending_positions,
    check_all_candidates_win_before_the_first_test,
    check_equal_evidence_gives_equal_winners,
    check_the_numbers_of_candidates_do_not_matter,
    check_the_order_of_tests_does_not_matter,
    check_equal_candidates_win_together,
    check_winners_after_are_those_of_the_first_tests,
    check_what_a_rule_uses_is_what_it_says,
    check_merged_candidates_win_as_each_of_them,
)
"""All checks of the suite."""


def _problems() -> Iterator[Evidence]:
    """Random problems, always the same: with and without outputs, batch, and pairs that were not run."""
    rng = np.random.default_rng(0)
    problems = [_problem(rng) for _ in range(_PROBLEMS)]
    batch = batch_statistics([*problems, _longest(rng)])
    for number, problem in enumerate(problems):
        yield replace(problem, batch=_copied(batch) if number % 3 else None)


def _problem(rng: np.random.Generator) -> Evidence:
    tests, candidates = rng.integers(0, _MAX_TESTS + 1), rng.integers(1, _MAX_CANDIDATES + 1)
    # Candidates of two kinds, so that votes and outputs agree as those of real programs do.
    right = rng.random(candidates) < rng.choice([0.2, 0.5, 0.8])
    passed = rng.random((tests, candidates)) < np.where(right, 0.9, 0.3)
    run = np.ones_like(passed)
    if rng.random() < 0.3:  # some candidates were eliminated at some test
        ends = rng.integers(0, tests + 1, candidates)
        run = np.arange(tests)[:, np.newaxis] < np.maximum(ends, ends.max() * right)
    votes = Votes.from_matrix(passed & run, run)
    return Evidence(votes, _outputs(rng, run, right) if rng.random() < 0.7 else None)


def _outputs(rng: np.random.Generator, run: NDArray[np.bool_], right: NDArray[np.bool_]) -> OutputMatrix:
    """Outputs on one or two inputs of each test, and on none to two inputs without a test."""
    tests, candidates = run.shape
    inputs = rng.integers(1, 3, tests + 1)
    inputs[0] = rng.integers(0, 3)
    owner = np.repeat(np.arange(tests + 1), inputs)
    results = np.where(right, 0, rng.integers(0, _RAISED + 1, (len(owner), candidates))).astype(np.int32)
    was_run = np.concatenate([np.ones((1, candidates), np.bool_), run])[owner]
    results[~was_run | (rng.random(results.shape) < 0.05)] = UNKNOWN
    return OutputMatrix(results, (results != UNKNOWN) & (results != _RAISED), np.cumsum(inputs))


def _longest(rng: np.random.Generator) -> Evidence:
    """A problem with as many tests as any, so that the statistics of the batch reach as far."""
    return Evidence(Votes.from_matrix(rng.random((_MAX_TESTS, 3)) < 0.5))


def _copied(batch: BatchStatistics) -> BatchStatistics:
    return BatchStatistics(batch.best_pass_rate.copy(), batch.minority_ratio.copy(), batch.calibration)


def _require(condition: bool, sentence: str) -> None:
    if not condition:
        raise AssertionError(sentence)

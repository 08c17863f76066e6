"""Split of problems into those to train on and those to evaluate on, near-duplicates on one side."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from testbudget.rewards.problem import Problem
from testbudget.rewards.seeds import hash_order

_WORDS_TOGETHER = 3
_ROWS_AT_ONCE = 1024  # bounds the memory


@dataclass(frozen=True, slots=True)
class ClosestPrompts:
    """The two most similar prompts on different sides of a split.

    Attributes:
        similarity: share of common word triples, in [0, 1].
        train, eval: ids of their problems; empty if a side is empty.
    """

    similarity: float
    train: str
    eval: str


@dataclass(frozen=True, slots=True)
class ProblemSplit:
    """Sides of problems, by content hash.

    Attributes:
        side: ``train``, ``eval`` or ``held_out`` by content hash.
        groups: number of groups of near-duplicate prompts that are not held out, each on one side.
        near_duplicates: number of pairs of problems whose prompts are near-duplicates.
        closest: the most similar prompts across train and eval.
        closest_held_out: the most similar prompts across train and what is held out; None if nothing is.
    """

    side: Mapping[str, str]
    groups: int
    near_duplicates: int
    closest: ClosestPrompts
    closest_held_out: ClosestPrompts | None


def split_problems(
    problems: Sequence[Problem],
    held_out: Sequence[Problem],
    *,
    near_duplicate: float,
    eval_share: float,
    seed: int,
) -> ProblemSplit:
    """Split problems so that no prompt has a near-duplicate on the other side.

    A group with a problem that is held out is held out as a whole. The other groups are shuffled by a hash,
    and the first go to ``eval`` until it has its share of problems.

    Args:
        problems: the problems; equal content hashes count once.
        held_out: problems that are neither trained nor evaluated on.
        near_duplicate: similarity from which two prompts are near-duplicates.
        eval_share: share of problems to evaluate on; above 0 at least one group, and never all.
        seed: seed of the shuffle.
    """
    withheld = {problem.content_hash for problem in held_out}
    of_hash = {problem.content_hash: problem for problem in [*held_out, *problems]}
    hashes, ids = list(of_hash), [problem.id for problem in of_hash.values()]
    shares = prompt_similarities([problem.prompt for problem in of_hash.values()])
    near = shares >= near_duplicate
    _, group_of = connected_components(near, directed=False)
    members: dict[int, list[str]] = {}
    for content_hash, group in zip(hashes, group_of.tolist(), strict=True):
        members.setdefault(group, []).append(content_hash)
    side: dict[str, str] = {}
    open_groups = {}
    for group in members.values():
        if withheld.isdisjoint(group):
            open_groups[min(group)] = group
        else:
            side |= dict.fromkeys(group, "held_out")
    wanted = eval_share * sum(map(len, open_groups.values()))
    order, placed = hash_order(open_groups, f"split {seed}"), 0
    for position, first in enumerate(order):
        to_eval = placed < wanted and position + 1 < len(order)
        side |= dict.fromkeys(open_groups[first], "eval" if to_eval else "train")
        placed += len(open_groups[first]) * to_eval
    sides = np.array([side[content_hash] for content_hash in hashes])
    outside = np.array([content_hash in withheld for content_hash in hashes])
    return ProblemSplit(
        side,
        len(open_groups),
        int(near.nnz - len(hashes)) // 2,
        _closest(shares, ids, sides == "train", sides == "eval"),
        _closest(shares, ids, sides == "train", outside) if held_out else None,
    )


def prompt_similarities(prompts: Sequence[str]) -> sparse.csr_array:
    """Share of common word triples of each two prompts (Jaccard), float64 (prompts, prompts).

    Words are compared without case; a shorter prompt counts as one triple. Entries without a common triple
    are not stored.
    """
    numbers: dict[tuple[str, ...], int] = {}
    rows = []
    for prompt in prompts:
        words = re.findall(r"\w+", prompt.lower())
        starts = range(max(1, len(words) - _WORDS_TOGETHER + 1))
        triples = {tuple(words[start : start + _WORDS_TOGETHER]) for start in starts}
        rows.append([numbers.setdefault(triple, len(numbers)) for triple in triples])
    sizes = np.array([len(row) for row in rows])
    columns = np.array([number for row in rows for number in row], np.int64)
    starts_of_rows = np.concatenate([[0], np.cumsum(sizes)])
    shape = (len(rows), len(numbers))
    holds = sparse.csr_array((np.ones(len(columns)), columns, starts_of_rows), shape=shape)
    parts = []
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        common = (holds[start : start + _ROWS_AT_ONCE] @ holds.T).tocoo()
        union = sizes[common.row + start] + sizes[common.col] - common.data
        parts.append(sparse.coo_array((common.data / union, (common.row, common.col)), common.shape))
    return sparse.csr_array(sparse.vstack(parts))


def _closest(
    shares: sparse.csr_array, ids: Sequence[str], of_train: NDArray[np.bool_], others: NDArray[np.bool_]
) -> ClosestPrompts:
    train, other = np.flatnonzero(of_train), np.flatnonzero(others)
    if not len(train) or not len(other):
        return ClosestPrompts(0.0, "", "")
    across = shares[train][:, other].tocoo()
    if not across.nnz:
        return ClosestPrompts(0.0, ids[train[0]], ids[other[0]])
    best = int(np.argmax(across.data))
    return ClosestPrompts(
        float(across.data[best]), ids[train[across.row[best]]], ids[other[across.col[best]]]
    )

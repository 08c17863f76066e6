"""Pairs that end the sandbox, found by halving the block that they are in. The other pairs are judged."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from testbudget.executors.execution.output_digests import BlockCalls
from testbudget.executors.execution.sandbox_process import COLUMNS, BlockAnswer
from testbudget.rewards.problem import NOT_RUN
from testbudget.rewards.verdict_reason import DetailName, VerdictReason

LOST_SENTENCE = "The sandbox ended each time that the pair was run, so there is no verdict."
"""Sentence of the reason of a pair that is lost."""

_ATTEMPTS = 2  # of a pair alone


class SandboxEndedError(Exception):
    """The sandbox ended under a block. The message says how."""


@dataclass(frozen=True, slots=True)
class SandboxCalls:
    """The two things that are asked of a sandbox which is built anew where it has ended.

    Attributes:
        answer: function that judges chosen pairs, intp (pairs, 2); it raises SandboxEndedError.
        probe: function that judges a pair which ends no sandbox; it raises SandboxError.
    """

    answer: Callable[[NDArray[np.intp]], BlockAnswer]
    probe: Callable[[], None]


class PartedAnswer(NamedTuple):
    """Answer to a block, and which of its pairs have none.

    Attributes:
        answer: answer on all pairs; lost ones are not run, and cost nothing.
        lost: bool (pairs,), True for a pair that ended the sandbox each time.
    """

    answer: BlockAnswer
    lost: NDArray[np.bool_]


def answer_in_parts(pairs: NDArray[np.intp], sandbox: SandboxCalls) -> PartedAnswer:
    """Answer to a block that has ended the sandbox, found in ever smaller parts.

    A pair is lost if it has ended the sandbox twice while it was run alone, and another pair did not. With
    one such pair among n, about 2 log2(n) parts are run.

    Args:
        pairs: intp (pairs, 2), candidate and test of each pair.
        sandbox: judges.

    Raises:
        SandboxError: no pair can be judged.
    """
    if len(pairs) == 1:
        return _alone(pairs, sandbox)
    halves = [_part(half, sandbox) for half in np.array_split(pairs, 2)]
    answer = _joined([half.answer for half in halves])
    return PartedAnswer(answer, np.concatenate([half.lost for half in halves]))


def _part(pairs: NDArray[np.intp], sandbox: SandboxCalls) -> PartedAnswer:
    if len(pairs) == 1:
        return _alone(pairs, sandbox)
    try:
        return PartedAnswer(sandbox.answer(pairs), np.zeros(len(pairs), np.bool_))
    except SandboxEndedError:
        return answer_in_parts(pairs, sandbox)


def _alone(pair: NDArray[np.intp], sandbox: SandboxCalls) -> PartedAnswer:
    cause = ""
    for _ in range(_ATTEMPTS):
        try:
            return PartedAnswer(sandbox.answer(pair), np.zeros(1, np.bool_))
        except SandboxEndedError as error:
            cause = str(error)
    sandbox.probe()
    columns = [
        np.full(1, value, kind) for value, kind in zip((NOT_RUN, 0, 0, 0, 0, 0), COLUMNS, strict=True)
    ]
    reason = VerdictReason(LOST_SENTENCE, {DetailName.MESSAGE: cause} if cause else {})
    return PartedAnswer(
        BlockAnswer(columns, (reason,), BlockCalls((), (), ((),), (0,))), np.ones(1, np.bool_)
    )


def _joined(answers: Sequence[BlockAnswer]) -> BlockAnswer:
    """Answers on consecutive parts of a block as one."""
    *columns, numbers = (np.concatenate(parts) for parts in zip(*(a.columns for a in answers), strict=True))
    known = np.cumsum([0, *(len(answer.reasons) for answer in answers[:-1])])
    lengths = [len(answer.columns[-1]) for answer in answers]
    shifted = (numbers + np.repeat(known, lengths)).astype(np.int32)
    reasons = [reason for answer in answers for reason in answer.reasons]
    calls = [answer.calls for answer in answers]
    return BlockAnswer([*columns, shifted], reasons, _joined_calls([c for c in calls if c is not None]))


def _joined_calls(parts: Sequence[BlockCalls]) -> BlockCalls | None:
    """Calls of consecutive parts as one; None if none were asked for."""
    calls: dict[str, int] = {}
    results: dict[str, int] = {}
    paths: list[list[int]] = []
    path_of: list[int] = []
    for part in parts:
        call_of = [calls.setdefault(text, len(calls)) for text in part.calls]
        result_of = [results.setdefault(text, len(results)) for text in part.results]
        path_of += [len(paths) + path for path in part.path_of]
        paths += [
            [(result_of if place % 2 else call_of)[step] for place, step in enumerate(path)]
            for path in part.paths
        ]
    return BlockCalls([*calls], [*results], paths, path_of) if parts else None

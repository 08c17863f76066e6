"""Reading what a process has left in the arena; if it met a candidate, it may have left anything."""

import json

from rewards.problem import Verdict


def parsed(text: bytes) -> list[object]:
    """A JSON array; empty if the text is none."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return []
    return content if isinstance(content, list) else []


def verdict_in(number: int) -> Verdict:
    """The verdict with a number; ``ERRORED`` if there is none."""
    return Verdict(number) if number in set(Verdict) else Verdict.ERRORED


def not_passed(number: object = None, *_: object) -> Verdict:
    """The same for a word of the candidate's, which is never a pass."""
    verdict = verdict_in(number) if isinstance(number, int) else Verdict.ERRORED
    return Verdict.ERRORED if verdict == Verdict.PASSED else verdict

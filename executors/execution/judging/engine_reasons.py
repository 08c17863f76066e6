"""Reasons of verdicts that come from the end of a process, or from the block itself."""

import signal

from testbudget.executors.execution.limits import TestLimits
from testbudget.executors.execution.processes.live_process import LimitKind, ProcessEnd
from testbudget.rewards.problem import NOT_RUN, Verdict
from testbudget.rewards.verdict_reason import GENERAL_SENTENCES, DetailName, VerdictReason

CANDIDATE_DOES_NOT_COMPILE = VerdictReason("The candidate does not compile.")
TEST_DOES_NOT_COMPILE = VerdictReason("The test does not compile.")
NO_CASES = VerdictReason("The test is no input with an expected output.")
TOO_MANY_ROUNDS = VerdictReason("The test makes too many calls that depend on the results of earlier ones.")
NO_OBJECTS = VerdictReason("The test exchanges more than plain data with the candidate.")
NO_STATE = VerdictReason("The states of two objects could not be compared.")

_GIVEN_UP = "The test was not run, since the candidate had timed out too often."


def default_reason(verdict: int) -> VerdictReason:
    """Reason of a verdict of which no more is known."""
    return VerdictReason(_GIVEN_UP if verdict == NOT_RUN else GENERAL_SENTENCES[verdict])


def reason_of_end(ended: ProcessEnd, limits: TestLimits) -> tuple[Verdict, VerdictReason]:
    """Verdict on the pair that a process was working on when it ended, and its reason."""
    if ended.limit is LimitKind.WALL:
        limit = f"{limits.wall_seconds:g} s of elapsed time"
        return Verdict.TIMED_OUT, VerdictReason(
            "The test reached its limit of elapsed time.", {DetailName.LIMIT: limit}
        )
    if ended.limit is not None:
        return Verdict.TIMED_OUT, cpu_limit_reason(limits)
    if ended.signal:
        name = signal.Signals(ended.signal).name if ended.signal in set(signal.Signals) else ended.signal
        return Verdict.KILLED, VerdictReason(f"The process was ended by signal {name}.")
    return Verdict.KILLED, default_reason(Verdict.KILLED)


def cpu_limit_reason(limits: TestLimits) -> VerdictReason:
    """Reason of a pair that has reached its limit of CPU time."""
    limit = f"{limits.cpu_seconds:g} s of CPU time"
    return VerdictReason("The test reached its limit of CPU time.", {DetailName.LIMIT: limit})


def cut_reason(seconds: float) -> VerdictReason:
    """Reason of a pair that was cut off before its limit, because its verdict could change nothing."""
    limit = f"{seconds:.3g} s of CPU time"
    return VerdictReason(
        "The test was cut off early, since no verdict on it could have changed which candidates lead.",
        {DetailName.LIMIT: limit},
    )

"""The largest output groups of a problem's candidates, on the input that tells them apart."""

import json
from dataclasses import dataclass

import numpy as np

from testbudget.executors.execution.output_digests import readable_value
from testbudget.executors.execution.stdin_calls import STDIN_CALL
from testbudget.rewards.outputs import NO_RESULT, CallEnding, RecordedCall, RecordedOutputs, output_groups
from testbudget.traces.records import DistinctPrograms

_SHOWN = 3  # groups
_ENDINGS = {
    CallEnding.TIMED_OUT: "timed out",
    CallEnding.OUT_OF_MEMORY: "ran out of memory",
    CallEnding.KILLED: "was killed",
    CallEnding.OPAQUE: "no plain data",
}


@dataclass(frozen=True, slots=True)
class OutputGroup:
    """One output group.

    Attributes:
        candidates: number of candidates.
        picked: True if the pick is one of them.
        example: readable output on the input that is shown.
    """

    candidates: int
    picked: bool
    example: str


@dataclass(frozen=True, slots=True)
class LeadingGroups:
    """The largest output groups of a problem.

    Attributes:
        count: number of all groups.
        call: the shortest of the inputs on which most of the largest groups differ, as a call.
        groups: the largest groups, by descending size.
    """

    count: int
    call: str
    groups: tuple[OutputGroup, ...]


def leading_groups(
    recorded_outputs: RecordedOutputs, distinct: DistinctPrograms, pick: int
) -> LeadingGroups:
    """Find the largest output groups and an input that tells them apart.

    Args:
        recorded_outputs: a row for each distinct program; at least one input.
        distinct: maps candidates to distinct programs.
        pick: position of the picked candidate.
    """
    members = output_groups(recorded_outputs)
    sizes = np.bincount(members[distinct.inverse])
    largest = np.argsort(-sizes, kind="stable")[:_SHOWN]
    # A result that is known of one member holds for its group.
    results = np.stack([recorded_outputs.results[members == group].max(axis=0) for group in largest])
    shown = max(
        range(results.shape[1]),
        key=lambda position: (
            len(set(results[:, position].tolist()) - {NO_RESULT}),
            len(set(results[:2, position].tolist())),
            -len(recorded_outputs.inputs[position].arguments),
        ),
    )
    return LeadingGroups(
        len(sizes),
        call_text(recorded_outputs.inputs[shown]),
        tuple(
            OutputGroup(
                int(sizes[group]),
                bool(members[distinct.inverse[pick]] == group),
                example_of(recorded_outputs, int(result)),
            )
            for group, result in zip(largest, results[:, shown], strict=True)
        ),
    )


def example_of(recorded_outputs: RecordedOutputs, result: int) -> str:
    """Readable text of an output.

    Args:
        recorded_outputs: all outputs.
        result: its position, or ``NO_RESULT``.
    """
    if result == NO_RESULT:
        return "not called"
    output = recorded_outputs.outputs[result]
    return _ENDINGS.get(output.ending, output.example)


def call_text(recorded: RecordedCall) -> str:
    """A recorded call in the notation of source code."""
    arguments, named = json.loads(recorded.arguments)
    texts = [readable_value(value) for value in arguments]
    if recorded.function == STDIN_CALL:
        return f"standard input {', '.join(texts)}"
    texts += [f"{name}={readable_value(value)}" for name, value in named.get("dict", [])]
    return f"{recorded.function}({', '.join(texts)})"

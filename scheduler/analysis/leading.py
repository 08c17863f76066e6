"""What the largest groups of candidates do, on the input that tells them apart: for people to look at."""

import json
from dataclasses import dataclass

import numpy as np

from executors.execution.recording import shown
from rewards.behaviour import NO_RESULT, Behaviour, Ending, Input, groups
from scheduler.records import Distinct

_MOST = 3  # groups that are shown
_ENDINGS = {
    Ending.TIMED_OUT: "timed out",
    Ending.OUT_OF_MEMORY: "ran out of memory",
    Ending.KILLED: "was killed",
    Ending.OPAQUE: "no plain data",
}


@dataclass(frozen=True, slots=True)
class LeadingGroup:
    """Candidates that behave alike.

    Attributes:
        candidates: how many.
        picked: whether the pick is one of them.
        gave: an example of what they gave back.
    """

    candidates: int
    picked: bool
    gave: str


@dataclass(frozen=True, slots=True)
class Leading:
    """The groups that a problem's candidates fall into by what they do.

    Attributes:
        behaviours: how many groups.
        call: the shortest of the inputs on which most of the largest groups differ.
        groups: the largest, in order of size.
    """

    behaviours: int
    call: str
    groups: tuple[LeadingGroup, ...]


def leading(behaviour: Behaviour, distinct: Distinct, pick: int) -> Leading:
    """Looks at a behaviour of distinct programs, for the candidates that they are.

    Args:
        behaviour: its rows are the distinct programs; with at least one input.
        distinct: which candidates they are.
        pick: the candidate picked.
    """
    members = groups(behaviour)
    sizes = np.bincount(members[distinct.inverse])
    largest = np.argsort(-sizes, kind="stable")[:_MOST]
    # What a group did on an input is what any of its members did, as far as they are known.
    did = np.stack([behaviour.results[members == group].max(axis=0) for group in largest])
    most_telling = max(
        range(did.shape[1]),
        key=lambda position: (
            len(set(did[:, position].tolist()) - {NO_RESULT}),
            len(set(did[:2, position].tolist())),
            -len(behaviour.inputs[position].arguments),
        ),
    )
    return Leading(
        len(sizes),
        _call(behaviour.inputs[most_telling]),
        tuple(
            LeadingGroup(
                int(sizes[group]),
                bool(members[distinct.inverse[pick]] == group),
                _gave(behaviour, int(output)),
            )
            for group, output in zip(largest, did[:, most_telling], strict=True)
        ),
    )


def _gave(behaviour: Behaviour, result: int) -> str:
    if result == NO_RESULT:
        return "not called"
    output = behaviour.outputs[result]
    return _ENDINGS.get(output.ending, output.example)


def _call(item: Input) -> str:
    arguments, named = json.loads(item.arguments)
    texts = [shown(value) for value in arguments]
    texts += [f"{name}={shown(value)}" for name, value in named.get("dict", [])]
    return f"{item.function}({', '.join(texts)})"

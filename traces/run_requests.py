"""Requests to the driver of a run: files ``control/ID.json``, answered by ``control/ID.answer.json``.

Whoever steers a run writes a request; its driver alone changes the run, and answers. So a run has one
writer, and can be steered from any process or machine that sees its directory or URL.
"""

import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from testbudget.rewards.errors import UserError
from testbudget.traces.run_place import RunPlace

PAUSE, CONTINUE, CAP, STOP = ACTIONS = ("pause", "continue", "cap", "stop")
"""Requests that there are."""

_FOLDER, _REQUEST, _ANSWER = "control", ".json", ".answer.json"
_POLL_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class RunRequest:
    """One request.

    Attributes:
        id: unique; requests are served in its order.
        action: one of ``ACTIONS``.
        limits: new limits by quantity, for ``cap``.
    """

    id: str
    action: str
    limits: Mapping[str, float] = field(default_factory=dict)


def ask_driver(
    place: RunPlace, action: str, limits: Mapping[str, float] | None = None, *, patience: float = 30.0
) -> str:
    """Ask the driver of a run, and wait for its answer. A request that is not answered is withdrawn.

    Args:
        place: place of the run.
        action: one of ``ACTIONS``.
        limits: new limits by quantity, for ``cap``.
        patience: seconds to wait.

    Returns:
        The driver's answer, a sentence.

    Raises:
        UserError: the driver refuses, or does not answer.
        OSError: the place cannot be read or written.
    """
    name = f"{time.time_ns():020d}-{secrets.token_hex(4)}"
    request, answer = f"{_FOLDER}/{name}{_REQUEST}", f"{_FOLDER}/{name}{_ANSWER}"
    place.write(request, json.dumps({"action": action, "limits": dict(limits or {})}).encode())
    deadline = time.monotonic() + patience
    try:
        while (content := place.read(answer)) is None:
            if time.monotonic() >= deadline:
                raise UserError(
                    f"the driver of {place.name} has not answered for {patience:.0f} s and the request is "
                    f"withdrawn: see testbudget status {place.name}"
                )
            time.sleep(_POLL_SECONDS)
    finally:
        place.remove(request)
    place.remove(answer)
    found: dict[str, Any] = json.loads(content)
    if not found["accepted"]:
        raise UserError(found["sentence"])
    return str(found["sentence"])


def pending_requests(place: RunPlace) -> list[RunRequest]:
    """Requests that are not answered, in order. What is no request is skipped.

    Raises:
        OSError: the place cannot be read.
    """
    names = place.files(_FOLDER)
    answered = {name.removesuffix(_ANSWER) for name in names if name.endswith(_ANSWER)}
    requests = []
    for name in names:
        key = name.removesuffix(_REQUEST)
        if name.endswith(_ANSWER) or not name.endswith(_REQUEST) or key in answered:
            continue
        if (content := place.read(f"{_FOLDER}/{name}")) is None:
            continue  # withdrawn
        try:
            found = json.loads(content)
            limits = {str(unit): float(value) for unit, value in found["limits"].items()}
            requests.append(RunRequest(key, str(found["action"]), limits))
        except (ValueError, KeyError, TypeError, AttributeError):
            answer_request(place, key, accepted=False, sentence="the request cannot be read")
    return requests


def answer_request(place: RunPlace, key: str, *, accepted: bool, sentence: str) -> None:
    """Answer a request.

    Args:
        place: place of the run.
        key: id of the request.
        accepted: False if it is refused.
        sentence: what was done, or why not.

    Raises:
        OSError: the place cannot be written.
    """
    content = json.dumps({"accepted": accepted, "sentence": sentence}, ensure_ascii=False)
    place.write(f"{_FOLDER}/{key}{_ANSWER}", content.encode())

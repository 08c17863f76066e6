"""Process of a candidate that repeats the requests of a script and leaves the state of one object."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any

from testbudget.executors.execution.languages.base import Connection, Program
from testbudget.executors.execution.languages.python.objects import request_leaves
from testbudget.executors.execution.languages.python.objects.candidate_side import CandidatePeer
from testbudget.executors.execution.languages.python.objects.scripts import answers_text
from testbudget.executors.execution.languages.python.objects.states import state_text
from testbudget.executors.execution.languages.python.objects.wire import Headroom, Pipe, text_of
from testbudget.executors.execution.processes.result_buffer import ResultBuffer

_NO_CONNECTION = Connection(-1, -1)


def object_state(buffer: ResultBuffer, candidate: Program, script: str, entry_point: str | None) -> None:
    """Leave the state of an object, as described by `Language.object_state`."""
    buffer.begin(0)
    peer = _ReplayPeer(Pipe(_NO_CONNECTION))
    requests, wanted = json.loads(script)
    if "text" in wanted:  # the judge knows it
        buffer.append(0, wanted["text"].encode())
        buffer.finish(0)
        return
    if peer.load(candidate, entry_point) is not None:
        buffer.mark_loaded()
        found = peer.replay(requests, wanted)
        text = peer.text if found is None else state_text(found[0])
        if not all(json.dumps(literal) in (text or "") for literal in wanted.get("literals", ())):
            text = None
        if text is not None:
            buffer.append(0, text.encode())
    buffer.finish(0)


class _ReplayPeer(CandidatePeer):
    """Peer without a judge.

    Attributes:
        text: text of the wanted answers; None if none are wanted.
    """

    text: str | None = None
    _exchanges: Sequence[tuple[Any, str]] = ()

    def replay(self, requests: list[Any], wanted: dict[str, Any]) -> tuple[Any] | None:
        """Repeat requests; return the wanted object in a tuple, or None if there is none.

        Args:
            requests: messages, or None for requests that concern other objects. One in which the candidate
                asked the test for something holds these exchanges, too.
            wanted: number of the object, or position of the request whose result it is or holds at a path,
                or positions of requests whose answers are wanted.
        """
        result: tuple[Any] | None = None
        told: list[Any] = []
        for position, repeated in enumerate(requests):
            self.begin_request()
            if repeated is None:
                continue
            message = repeated
            if type(repeated) is dict:
                self._exchanges, message = repeated["exchanges"], repeated["message"]
            answer = self._answer(message)
            with Headroom():
                self.with_rest(answer, self.pieces())
            if position in wanted.get("answers", ()):
                told.append(answer)
            if position == wanted.get("result") and "or" in wanted:
                self.text = answers_text([answer])
            if position == wanted.get("result") and answer[0] == "=" and answer[1][:1] == ["o"]:
                result = (self.mine[answer[1][1]],)
            if position == wanted.get("result") and "path" in wanted:
                result = self._found(answer, wanted["path"])
        if "answers" in wanted:
            self.text = answers_text(told)
        if "number" in wanted and wanted["number"] in self.mine:
            return (self.mine[wanted["number"]],)
        return result

    def _found(self, answer: list[Any], path: list[int]) -> tuple[Any] | None:
        """Object at the end of a path in an answer; None if there is none."""
        try:
            tag, number = request_leaves.value_at(answer, path)[:2]
            return (self.mine[number],) if tag == "o" else None
        except (LookupError, TypeError, ValueError):
            return None

    def request(self, body: list[Any], leaves: Any = ()) -> Any:
        """Answer as the test has answered; leave no state if it was asked for something else."""
        with Headroom():
            sent = self.with_rest(body, self.pieces())
        asked, *others = self._exchanges or [(None, "")]
        if json.loads(text_of(sent))[0] != asked[0]:
            os._exit(0)
        self._exchanges = others
        answer = json.loads(asked[1])
        value = self._read_answer(answer, leaves)
        if answer[0][0] == "!":
            self.raise_received(value, body)
        return value

    def unknown_container(self, number: Any) -> None:
        """Ignore a change of a container that a request brought which is not repeated."""

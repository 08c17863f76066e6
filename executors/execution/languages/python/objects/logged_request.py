"""Request of a judge, with its answer and what the candidate asked before it answered."""

from __future__ import annotations

from typing import Any

MAX_BYTES = 32 << 20
"""Length of a message from which on no script repeats it."""

_UNREPEATABLE = ""


class LoggedRequest:
    """Request of a judge.

    Attributes:
        message: the message as sent, as parsed JSON.
        answer: body of the answer.
        exchanges: what the candidate asked the judge for before it answered, each with the answer.
    """

    __slots__ = ("answer", "exchanges", "message")

    def __init__(self, message: list[Any]) -> None:
        self.message = message
        self.answer: list[Any] = []
        self.exchanges: list[list[Any]] = []

    def note_answer(self, body: list[Any], text: bytes, depth: int) -> None:
        """Note a message of the judge within this request; only answers without further requests repeat."""
        exchange = self.exchanges[-1]
        is_answer = depth == 1 and body[0] in {"=", "!"} and exchange[1] != _UNREPEATABLE
        exchange[1] = text.decode() if is_answer and len(text) < MAX_BYTES else _UNREPEATABLE

    @property
    def is_repeatable(self) -> bool:
        """True if all that the candidate asked for can be answered again."""
        return all(answer != _UNREPEATABLE for _, answer in self.exchanges)

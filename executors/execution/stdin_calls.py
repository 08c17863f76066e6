"""Runs of programs on inputs, as calls: the form in which they are recorded and can be made again.

The server process imports this module, so it imports no array library.
"""

import json

STDIN_CALL = "<stdin>"
"""Function in the recorded call of a program that reads standard input; its argument is the input."""

_START = json.dumps([STDIN_CALL])[:-1]
_NO_KEYWORDS: dict[str, list[str]] = {"dict": []}


def stdin_call(stdin: str) -> str:
    """Text of the call that stands for a run on an input."""
    return json.dumps([STDIN_CALL, [stdin], _NO_KEYWORDS], separators=(",", ":"))


def input_of(call: str) -> str | None:
    """Input in a text by ``stdin_call``; None for the call of a function."""
    if not call.startswith(_START):
        return None
    _, (stdin,), _ = json.loads(call)
    return str(stdin)

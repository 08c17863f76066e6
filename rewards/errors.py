"""Errors that end in one sentence, and the errors of other libraries as one sentence.

Nothing heavy is imported here: the command line needs these names before it has read its arguments.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol


class UserError(Exception):
    """Input that cannot be used: the message states the rule and what was found instead.

    The command line prints the message and ends with exit code 2, without a traceback.
    """


class InfrastructureError(Exception):
    """Work that failed for good although the job is valid. The run can be resumed."""


class SandboxError(Exception):
    """A failure of the sandbox itself. It says nothing about any candidate."""


class FieldErrors(Protocol):
    """The part of ``pydantic.ValidationError`` that is needed here, so that pydantic need not be imported."""

    def errors(self) -> list[Any]:
        """One dictionary for each wrong field, with ``loc``, ``type``, ``msg`` and ``input``."""


def validation_sentence(error: FieldErrors) -> str:
    """The first wrong field as one sentence: its dotted name, the rule, and the value found."""
    first = error.errors()[0]
    field = ".".join(str(part) for part in first["loc"])
    match first["type"]:
        case "missing":
            return f"{field} is required but it is missing"
        case "extra_forbidden":
            return f"{field} is not a known field"
        case "value_error":
            return f"{field} {first['ctx']['error']}".strip()
        case _:
            rule = first["msg"].replace("Input should", "must", 1)
            return f"{field} {rule} but got {first['input']!r}"


def one_line(error: BaseException) -> str:
    """The message of an error with every run of white space as one space."""
    return " ".join(str(error).split())


@contextmanager
def require_extra(extra: str, purpose: str) -> Iterator[None]:
    """Translate a failed import of an optional dependency into a sentence that names the extra.

    Args:
        extra: name of the extra that installs the dependency.
        purpose: subject of the sentence, such as "drawing plots".

    Raises:
        UserError: a module that the block imports is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise UserError(
            f"{purpose} needs {error.name}, which is not installed: pip install 'testbudget[{extra}]'"
        ) from None

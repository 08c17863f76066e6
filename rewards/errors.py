"""Errors of one sentence, and functions that turn the errors of other libraries into one sentence.

Only the standard library is imported: the command line needs these names before it reads its arguments.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Any, Protocol


class UserError(Exception):
    """Error in the user's input. The message states the rule and what was found instead.

    The command line prints the message and ends with exit code 2, without a traceback.
    """


class InfrastructureError(Exception):
    """Permanent failure of work although the job is valid. The run can be resumed."""


class SandboxError(Exception):
    """Failure of the sandbox itself. No candidate is to blame."""


class FieldErrors(Protocol):
    """Interface of ``pydantic.ValidationError`` as used here, so that pydantic is not imported."""

    def errors(self) -> list[Any]:
        """One dictionary for each invalid field, with ``loc``, ``type``, ``msg`` and ``input``."""


def validation_sentence(
    error: FieldErrors, fields_of: Callable[[Sequence[str]], Iterable[str]] = lambda _: ()
) -> str:
    """The first invalid field as one sentence: its dotted name, the rule, and the value found.

    Args:
        error: a validation error of pydantic.
        fields_of: function from the path of a section to its fields, from which a suggestion for an unknown
            field is chosen.
    """
    first = error.errors()[0]
    *section, name = [str(part) for part in first["loc"]] or [""]
    field = ".".join([*section, name])
    match first["type"]:
        case "missing":
            return f"{field} is required but it is missing"
        case "extra_forbidden":
            known = [".".join([*section, other]) for other in fields_of(section)]
            return f"{field} is not a known field{did_you_mean(field, known)}"
        case "value_error":
            return f"{field} {first['ctx']['error']}".strip()
        case "literal_error":
            choices = re.findall("'([^']*)'", first["ctx"]["expected"])
            return choice_sentence(field, str(first["input"]), choices)
        case _:
            rule = first["msg"].replace("Input should", "must", 1)
            return f"{field} {rule} but got {first['input']!r}"


def choice_sentence(name: str, value: str, choices: Iterable[str]) -> str:
    """Error sentence for a value that is none of the choices, with the closest choice as a suggestion."""
    known = list(choices)
    return f"{name} must be one of {', '.join(known)} but got {value!r}{did_you_mean(value, known)}"


def did_you_mean(word: str, known: Iterable[str], least: float = 0.6) -> str:
    """A suggestion, ``: did you mean X?``, if one of the known words is close; otherwise an empty text.

    Args:
        word: the word that is none of the known ones.
        known: the known words. Among many, a word can be close to one by chance.
        least: least similarity, in [0, 1] as by ``difflib``.
    """
    found = get_close_matches(word, list(known), n=1, cutoff=least)
    return f": did you mean {found[0]}?" if found else ""


def one_line(error: BaseException) -> str:
    """The message of an error with every run of white space as one space."""
    return " ".join(str(error).split())


@contextmanager
def require_extra(extra: str, purpose: str) -> Iterator[None]:
    """Context manager: raise a UserError that names the extra if an import inside fails.

    Args:
        extra: name of the extra that installs the dependency.
        purpose: subject of the sentence, for example "drawing plots".

    Raises:
        UserError: a module that the block imports is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise UserError(
            f"{purpose} needs {error.name}, which is not installed: pip install 'testbudget[{extra}]'"
        ) from None

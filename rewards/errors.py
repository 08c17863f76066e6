"""Errors of one sentence, and functions that turn the errors of other libraries into one sentence.

Only the standard library is imported: the command line needs these names before it reads its arguments.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Any, NamedTuple, Protocol


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


_SHOWN_FIELDS = 3
FieldsOf = Callable[[Sequence[str]], Iterable[str]]
"""Function from the path of a section to the names of its fields."""


class FieldMistake(NamedTuple):
    """An invalid field.

    Attributes:
        path: names of its sections and its own.
        sentence: its dotted name, the rule, and the value found.
    """

    path: tuple[str, ...]
    sentence: str


def validation_sentence(error: FieldErrors, fields_of: FieldsOf = lambda _: ()) -> str:
    """The first invalid field as one sentence; see :func:`field_mistakes`."""
    return next(field_mistakes(error, fields_of)).sentence


def field_mistakes(error: FieldErrors, fields_of: FieldsOf = lambda _: ()) -> Iterator[FieldMistake]:
    """All invalid fields.

    Args:
        error: a validation error of pydantic.
        fields_of: fields from which a suggestion for an unknown field is chosen.
    """
    for found in error.errors():
        if found["type"] == "default_factory_not_called":  # since a field that it depends on is invalid
            continue
        path = tuple(str(part) for part in found["loc"])
        yield FieldMistake(path, _field_sentence(found, path or ("",), fields_of))


def _field_sentence(found: Mapping[str, Any], path: tuple[str, ...], fields_of: FieldsOf) -> str:
    *section, name = path
    field = ".".join([*section, name])
    match found["type"]:
        case "missing":
            return f"{field} is required but it is missing"
        case "extra_forbidden":
            known = [".".join([*section, other]) for other in fields_of(section)]
            return f"{field} is not a known field{did_you_mean(field, known)}"
        case "value_error":
            return f"{field} {found['ctx']['error']}".strip()
        case "model_type":
            known = [*fields_of(path)][:_SHOWN_FIELDS]
            such = f", such as {', '.join(known)}," if known else ""
            return f"{field} must hold fields{such} but got {found['input']!r}"
        case "literal_error":
            choices = re.findall("'([^']*)'", found["ctx"]["expected"])
            return choice_sentence(field, str(found["input"]), choices)
        case _:
            rule = found["msg"].replace("Input should", "must", 1)
            return f"{field} {rule} but got {found['input']!r}"


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

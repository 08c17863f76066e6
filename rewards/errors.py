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


class FieldError(UserError):
    """Mistake in a field that is found where the field is used, so that its place can be told.

    Args:
        field: dotted name of the field.
        text: the rule, and the value found.

    Attributes:
        field: as given.
        text: as given.
    """

    def __init__(self, field: str, text: str) -> None:
        super().__init__(f"{field} {text}")
        self.field = field
        self.text = text

    def __reduce__(self) -> tuple[type["FieldError"], tuple[str, str]]:
        return FieldError, (self.field, self.text)

    def __str__(self) -> str:
        return f"{self.field} {self.text}"


class InfrastructureError(Exception):
    """Permanent failure of work although the job is valid. The run can be resumed."""


class SandboxError(Exception):
    """Failure of the sandbox itself. No candidate is to blame."""


@contextmanager
def fields_of(section: str) -> Iterator[None]:
    """Context in which fields are those of a section: mistakes in them tell it.

    Raises:
        FieldError: a mistake in a field of the section.
    """
    try:
        yield
    except FieldError as error:
        raise FieldError(f"{section}.{error.field}", error.text) from None


class ValidationErrors(Protocol):
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


_KINDS = {
    "bool": "true or false",
    "dict": "hold fields",
    "float": "a number",
    "int": "a whole number",
    "list": "a list",
    "path": "a path",
    "string": "text",
}
"""Values that a field takes, by the first word of the types of pydantic's errors."""

_BOUNDS = {
    "greater_than": ("more than", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("less than", "lt"),
    "less_than_equal": ("at most", "le"),
}


def validation_sentence(error: ValidationErrors, fields_of: FieldsOf = lambda _: ()) -> str:
    """The first invalid field as one sentence; see :func:`field_mistakes`."""
    return next(field_mistakes(error, fields_of)).sentence


def field_mistakes(error: ValidationErrors, fields_of: FieldsOf = lambda _: ()) -> Iterator[FieldMistake]:
    """All invalid fields.

    Args:
        error: a validation error of pydantic.
        fields_of: fields from which a suggestion for an unknown field is chosen.
    """
    for found in error.errors():
        if found["type"] == "default_factory_not_called":  # since a field that it depends on is invalid
            continue
        path = tuple(str(part) for part in found["loc"])
        if found["type"] == "value_error":
            yield _mistake_of_rule(str(found["ctx"]["error"]), path, fields_of)
        else:
            yield FieldMistake(path, _field_sentence(found, path or ("",), fields_of))


def _mistake_of_rule(text: str, path: tuple[str, ...], fields_of: FieldsOf) -> FieldMistake:
    """A broken rule. Of a section, its text begins with the name of one of the fields, or goes on."""
    name, _, rest = text.partition(" ")
    inner = tuple(name.split("."))
    if inner[0] in fields_of(path):
        path, text = (*path, *inner), rest
    return FieldMistake(path, f"{'.'.join(path)} {text}".strip())


def _field_sentence(found: Mapping[str, Any], path: tuple[str, ...], fields_of: FieldsOf) -> str:
    *section, name = path
    field = ".".join([*section, name])
    match found["type"]:
        case "missing":
            return f"{field} is required but it is missing"
        case "extra_forbidden" | "unexpected_keyword_argument":
            known = [".".join([*section, other]) for other in fields_of(section)]
            return f"{field} is not a known field{did_you_mean(field, known)}"
        case "model_type" | "dataclass_type":
            known = [*fields_of(path)][:_SHOWN_FIELDS]
            such = f", such as {', '.join(known)}," if known else ""
            return f"{field} must hold fields{such} but got {found['input']!r}"
        case "literal_error":
            choices = re.findall("'([^']*)'", found["ctx"]["expected"])
            return choice_sentence(field, str(found["input"]), choices)
        case _:
            return f"{field} must {_rule(found)} but got {_written(found['input'])}"


def _rule(found: Mapping[str, Any]) -> str:
    """Rule that a value breaks, as what follows ``must``."""
    kind, limits = found["type"], found.get("ctx", {})
    if kind in _BOUNDS:
        words, bound = _BOUNDS[kind]
        return f"be {words} {limits[bound]:g}"
    if kind == "finite_number":
        return "be a finite number"
    if kind == "too_short":
        return "not be empty" if limits["min_length"] == 1 else f"hold at least {limits['min_length']}"
    if kind == "enum":
        choices = re.findall("'([^']*)'", limits["expected"])
        return f"be one of {', '.join(choices)}"
    if (first := kind.partition("_")[0]) in _KINDS:
        return _KINDS[first] if first == "dict" else f"be {_KINDS[first]}"
    message = str(found["msg"]).removeprefix("Input should ")
    return message[:1].lower() + message[1:]


def _written(value: object) -> str:
    """A value as YAML and JSON write it."""
    return {"True": "true", "False": "false", "None": "null"}.get(repr(value), repr(value))


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

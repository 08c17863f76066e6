"""Flags built from pydantic models, and flags that several commands share.

The flags of a model are typed by a ``TypedDict`` that is made from the model. All keys may be missing: the
parser hands over exactly the fields that were given, so no default can override a value of a file.
"""

import operator
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Group, Parameter, Token
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from testbudget.rewards.errors import UserError, choice_sentence
from testbudget.scheduler.job_names import Named

_BOUNDS = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}

Json = Annotated[
    bool,
    Parameter(
        name="--json",
        negative=(),
        show_default=False,
        help="Print the figures as one JSON document; progress goes to standard error.",
    ),
]
"""``--json`` of every command that prints figures."""

Runs = Annotated[list[Path], Parameter(consume_multiple=(1, None), negative=())]
"""One or more run directories."""


def flags_of(model: type[BaseModel], title: str, renamed: Mapping[str, str] | None = None) -> Any:
    """Type of the flags that mirror the fields of a model, with one help group per section.

    Values are keyed by dotted field name (``cap.tests``); only those that were given are there.

    Args:
        model: the model. Fields that are models themselves become sections.
        title: title of the group of all fields outside sections.
        renamed: names of flags by name of the field, where they differ.
    """
    outer = Group(title, sort_key=1)
    groups = {
        name: Group(f"{name}: {_title(section)}", sort_key=2 + position)
        for position, (name, field) in enumerate(model.model_fields.items())
        if (section := _section(field.annotation))
    }
    keys = {
        name: Annotated[
            _accepted_type(field.annotation),
            _parameter((renamed or {}).get(name, name), field, groups.get(name.split(".")[0], outer)),
        ]
        for name, field in leaf_fields(model)
    }
    # Made at run time, which no type checker can follow.
    typed_dict: Any = typing.cast(Any, typing.TypedDict)
    return typed_dict(f"{model.__name__}Flags", keys, total=False)


def leaf_fields(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Fields of a model and of its sections that hold a value, by dotted name."""
    for name, field in model.model_fields.items():
        section = _section(field.annotation)
        if section is None:
            yield prefix + name, field
        else:
            yield from leaf_fields(section, f"{prefix}{name}.")


def comma_separated(text: str = "") -> Parameter:
    """Parameter of a list whose values are separated by commas; the flag may be repeated.

    Args:
        text: help text.
    """
    return Parameter(
        help=text or None, converter=_list, json_list=False, negative=(), consume_multiple=False
    )


def whole_number(text: str = "", least: int | None = None) -> Parameter:
    """Parameter of an integer. (The parser's own converter would round 1.5 to 2.)

    Args:
        text: help text.
        least: smallest value.
    """

    def convert(kind: Any, tokens: Sequence[Token]) -> int:
        value = _whole(kind, tokens)
        if least is not None and value < least:
            raise ValueError(f"must be at least {least} but got {value}")
        return value

    return Parameter(help=text or None, converter=convert)


def mapping_in_yaml(text: str) -> Parameter:
    """Parameter of a mapping, written in YAML.

    Args:
        text: help text.
    """
    return Parameter(help=text, converter=_yaml, accepts_keys=False, metavar="YAML")


def named(mark: Named) -> Parameter:
    """Parameter that takes the name of a built-in or of a plug-in."""
    return Parameter(converter=_named(mark))


def run_sources(given: Sequence[str], runs: Sequence[Path]) -> dict[Path, str]:
    """Sources of problems by run, from the values ``RUN=SOURCE`` of a flag ``--problems``.

    Raises:
        UserError: a value has another form, or names none of the runs.
    """
    sources = {}
    for text in given:
        directory, separator, source = text.partition("=")
        if not separator or Path(directory) not in runs:
            raise UserError(f"--problems takes RUN=SOURCE for one of the runs but got {text!r}")
        sources[Path(directory)] = source
    return sources


def _parameter(name: str, field: FieldInfo, group: Group) -> Parameter:
    kinds = _kinds(field.annotation)
    mapping = any(typing.get_origin(kind) is dict for kind in kinds)
    converter: Any = None
    if mapping:
        converter = _yaml
    elif any(typing.get_origin(kind) in (list, tuple) for kind in kinds):
        converter = _list
    elif mark := next((rule for rule in field.metadata if isinstance(rule, Named)), None):
        converter = _named(mark)
    elif int in kinds:
        converter = _bounded(_whole, field)
    elif float in kinds:
        converter = _bounded(_number, field)
    if converter and type(None) in kinds:
        converter = _or_none(converter)
    return Parameter(
        name="--" + name.replace("_", "-"),
        group=group,
        help="; ".join(filter(None, [field.description, _bounds(field)])),
        show_default=_default(field),
        negative_iterable=(),
        converter=converter,
        json_list=False,
        accepts_keys=False if mapping else None,
        metavar="YAML" if mapping else None,
    )


def _accepted_type(annotation: Any) -> Any:
    """The annotation with tuples as lists, which take any number of values, and without validators.

    The values of a mapping, and what validators demand, are checked with the job: in one sentence, which
    repeats no secret.
    """
    kinds = [_accepted_kind(kind) for kind in _kinds(annotation)]
    return kinds[0] if len(kinds) == 1 else typing.Union[tuple(kinds)]  # noqa: UP007 - made at run time


def _accepted_kind(kind: Any) -> Any:
    origin = typing.get_origin(kind)
    if origin is tuple:
        return list[typing.get_args(kind)[0]]  # type: ignore[misc]
    if origin is dict:
        return dict[str, Any]
    return typing.get_args(kind)[0] if origin is Annotated else kind


def _default(field: FieldInfo) -> str | bool:
    if field.is_required() or field.default_factory_takes_validated_data:
        return False  # the description says on what it depends
    value = field.get_default(call_default_factory=True)
    match value:
        case None | [] | {} | ():
            return False
        case bool():
            return "yes" if value else "no"
        case tuple() | list():
            return ",".join(map(str, value))
        case _:
            return str(value)


def _bounded(convert: Callable[..., Any], field: FieldInfo) -> Callable[..., Any]:
    """A converter that checks the bounds of the field, to name the flag in the error."""

    def checked(kind: Any, tokens: Sequence[Token]) -> Any:
        value = convert(kind, tokens)
        for word, bound, holds in _rules(field):
            if not holds(value, bound):
                raise ValueError(f"must be {word} {bound:g} but got {value:g}")
        return value

    return checked


def _rules(field: FieldInfo) -> Iterator[tuple[str, float, Callable[[Any, Any], bool]]]:
    """Bounds of a field: in words, as a number, and as a comparison that must hold."""
    for rule in field.metadata:
        for sign, word in _BOUNDS.items():
            if (bound := getattr(rule, sign, None)) is not None:
                yield word, bound, getattr(operator, sign)


def _bounds(field: FieldInfo) -> str:
    return " and ".join(f"{word} {bound:g}" for word, bound, _ in _rules(field))


def _list(kind: Any, tokens: Sequence[Token]) -> list[Any]:
    """Values separated by commas, in any number of flags."""
    words = [word.strip() for token in tokens for word in token.value.split(",")]
    item = next(typing.get_args(option)[0] for option in _kinds(kind) if typing.get_args(option))
    return [_value(item, word) for word in words]


def _named(mark: Named) -> Callable[..., Any]:
    """A converter that looks the name up, to name the flag in the error."""

    def checked(_kind: Any, tokens: Sequence[Token]) -> str:
        return mark.check(tokens[0].value)

    return checked


def _value(kind: Any, word: str) -> Any:
    if not word:
        raise ValueError("must be values separated by commas but one of them is empty")
    if typing.get_origin(kind) is Annotated:
        return typing.get_args(kind)[1].check(word)
    if typing.get_origin(kind) is typing.Literal:
        if word not in (choices := typing.get_args(kind)):
            raise ValueError(choice_sentence("", word, choices).strip())
        return word
    return _CONVERTERS[kind](word)


def _integer(word: str) -> int:
    try:
        return int(word)
    except ValueError:
        raise ValueError(f"must be a whole number but got {word!r}") from None


def _finite(word: str) -> float:
    try:
        number = float(word)
    except ValueError:
        number = float("nan")
    if number - number != 0:  # NaN or infinite
        raise ValueError(f"must be a number but got {word!r}")
    return number


_CONVERTERS: dict[Any, Any] = {int: _integer, float: _finite, str: str, Path: Path}


def _whole(_kind: Any, tokens: Sequence[Token]) -> int:
    return _integer(tokens[0].value)


def _number(_kind: Any, tokens: Sequence[Token]) -> float:
    return _finite(tokens[0].value)


def _or_none(convert: Callable[..., Any]) -> Callable[..., Any]:
    """A converter that takes ``none`` too, which unsets an optional field."""

    def converted(kind: Any, tokens: Sequence[Token]) -> Any:
        return None if tokens[0].value == "none" else convert(kind, tokens)

    return converted


def _yaml(_kind: Any, tokens: Sequence[Token]) -> dict[str, Any]:
    import yaml  # not needed for --help

    try:
        value = yaml.safe_load(tokens[0].value)
    except yaml.YAMLError:
        value = None
    if not isinstance(value, dict):
        raise ValueError(f"must be a mapping in YAML but got {tokens[0].value!r}")
    return value


def _kinds(annotation: Any) -> Sequence[Any]:
    """The options of a union, or the annotation alone."""
    if typing.get_origin(annotation) is Annotated:
        annotation = typing.get_args(annotation)[0]
    if typing.get_origin(annotation) in (types.UnionType, typing.Union):
        return typing.get_args(annotation)
    return [annotation]


def _section(annotation: Any) -> type[BaseModel] | None:
    options = _kinds(annotation)
    return next((o for o in options if isinstance(o, type) and issubclass(o, BaseModel)), None)


def _title(section: type[BaseModel]) -> str:
    """First line of the section's docstring, up to a colon: a heading must fit into one line."""
    return (section.__doc__ or "").strip().splitlines()[0].partition(":")[0].rstrip(".")

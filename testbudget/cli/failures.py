"""Mistakes on the command line as one sentence each, with a suggestion if a known word is close."""

from collections.abc import Iterable, Sequence

from cyclopts import CycloptsError
from cyclopts.exceptions import (
    CoercionError,
    MissingArgumentError,
    RepeatArgumentError,
    UnknownCommandError,
    UnknownOptionError,
    UnusedCliTokensError,
    ValidationError,
)

from testbudget.rewards.errors import choice_sentence, did_you_mean

_KINDS = {"int": "a whole number", "float": "a number", "bool": "true or false", "dict": "a mapping"}


def mistake_sentence(  # noqa: PLR0911 - one sentence a kind
    error: CycloptsError, commands: Sequence[str]
) -> str:
    """A mistake that the parser found, without a full stop.

    Args:
        error: the error that the parser raised.
        commands: names of all commands. (The parser's own message would import every one of them.)
    """
    match error:
        case UnknownCommandError() | UnknownOptionError():
            return _unknown(error, commands)
        case CoercionError():
            return _wrong_value(error)
        case MissingArgumentError():
            return f"{error.keyword} needs a value" if error.keyword else f"{_name(error)} is required"
        case RepeatArgumentError():
            return f"{error.token.keyword} can be given only once"
        case UnusedCliTokensError():
            return f"{' '.join(error.unused_tokens or [])} is one argument too many"
        case ValidationError():
            return f"{_name(error)} {error.exception_message.rstrip('.')}"
        case _:
            return str(error).rstrip(".")


def underscore_sentence(words: Iterable[str]) -> str | None:
    """The first flag that is not in kebab-case, which the parser would accept; None if there is none."""
    for word in words:
        if word == "--":
            break
        name, _, _ = word.partition("=")
        if name.startswith("--") and "_" in name:
            return f"{name} must be written with hyphens: {name.replace('_', '-')}"
    return None


def _unknown(error: UnknownCommandError | UnknownOptionError, commands: Sequence[str]) -> str:
    if isinstance(error, UnknownOptionError):
        word = error.token.keyword or error.token.value
        known = [
            name
            for argument in error.argument_collection or ()
            if argument.parse
            for name in argument.names
        ]
        owner = f" of {' '.join(error.command_chain)}" if error.command_chain else ""
        return f"{word} is not a flag{owner}{did_you_mean(word, known)}"
    word = (error.unused_tokens or [""])[0]
    if word.startswith("-"):
        return f"{word} is not a flag{did_you_mean(word, ['--help', '--version'])}"
    chain = " ".join(error.command_chain or ())
    if chain:
        return f"{word} is not a command of {chain}: see testbudget {chain} --help"
    return f"{word} is not a command{did_you_mean(word, commands)}"


def _wrong_value(error: CoercionError) -> str:
    name = (error.token.keyword if error.token else None) or _name(error)
    if isinstance(error.msg, str):  # of a converter in options.py
        return f"{name} {error.msg}"
    if error.token is None:
        return str(error).rstrip(".")
    value = error.token.value
    choices = (error.argument.get_choices(force=True) if error.argument else None) or ()
    if choices:
        return choice_sentence(name, value, choices)
    kind = getattr(error.target_type, "__name__", str(error.target_type))
    return f"{name} must be {_KINDS.get(kind, kind)} but got {value!r}"


def _name(error: CycloptsError) -> str:
    if error.argument is None:
        return "the command line"
    given = next((token.keyword for token in error.argument.tokens if token.keyword), None)
    return given or error.argument.name

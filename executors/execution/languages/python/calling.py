"""In the candidate's process: the calls that a test makes, and what comes out of each, as plain data."""

import builtins
import json
import sys
from collections.abc import Sequence
from typing import Any

from executors.execution import values
from executors.execution.arena import Arena
from executors.execution.languages.base import Job, Left, ResultKind
from executors.execution.languages.python.loading import is_fit, load
from executors.execution.process import Station
from executors.execution.values import NotPlainError
from rewards.problem import Verdict

_UNCHANGEABLE = frozenset({int, float, bool, str, bytes, complex, type(None)})
_CHANGEABLE = (list, dict, set)
_LONGEST_MESSAGE = 10_000
_OPAQUE = f'["{ResultKind.OPAQUE}"]'
_OUT_OF_MEMORY = f'["{ResultKind.ENDED}",{Verdict.OUT_OF_MEMORY:d}]'


def make_calls(arena: Arena, station: Station, jobs: Sequence[Job], entry_point: str | None) -> None:
    """See ``Language.make_calls``; stops early where this process is not fit for another job."""
    for step, (candidate, calls) in enumerate(jobs):
        arena.begin(step)
        loaded = load(candidate.content, entry_point)
        if isinstance(loaded, Verdict):
            arena.append(step, f'["{Left.NOT_LOADED}",{loaded:d}]'.encode())
        else:
            arena.loaded()
            for call in calls:
                arena.append(step, _result(vars(loaded), call).encode())
        arena.finish(step)
        if not is_fit():
            return  # what this job has left behind would be a burden on the next
        if not candidate.innocent:  # which has no means of leaving a file
            station.tidy()


def _result(names: dict[str, Any], call: str) -> str:  # noqa: PLR0911 - a table
    try:
        function, arguments, keywords = values.decode(call)
    except MemoryError:
        return _OUT_OF_MEMORY
    if function not in names:
        return _raised(NameError(f"name {function!r} is not defined"))
    held = [sys.getrefcount(argument) for argument in arguments]
    try:
        value = names[function](*arguments, **keywords)
    except MemoryError:
        return _OUT_OF_MEMORY
    except BaseException as error:
        return _raised(error)
    try:
        plain_arguments = _UNCHANGEABLE.issuperset(map(type, arguments)) and not keywords
        if not _stands_alone(value, () if plain_arguments else (*arguments, *keywords.values())):
            return _OPAQUE  # what a test does to one place would show in another
        if plain_arguments:
            return f'["{ResultKind.RETURNED}",{values.encode(value)}]'
        if _are_kept(arguments, held, value):
            return _OPAQUE
        return _returned(value, arguments, keywords, call, function)
    except (NotPlainError, RecursionError):
        return _OPAQUE
    except MemoryError:
        return _OUT_OF_MEMORY


def _stands_alone(value: Any, arguments: Sequence[Any]) -> bool:
    """Whether a value contains nothing that can be changed twice, and nothing of the arguments."""
    known: set[int] = set()
    for argument in arguments:
        if argument is not value:
            values.has_new_parts(argument, known)
    return values.has_new_parts(value, known)


def _are_kept(arguments: list[Any], held: list[int], value: Any) -> bool:
    """Whether a call has left a reference to an argument that can be changed."""
    now = [sys.getrefcount(argument) - (argument is value) for argument in arguments]
    return any(
        after > before and type(argument) not in _UNCHANGEABLE
        for argument, before, after in zip(arguments, held, now, strict=True)
    )


def _returned(value: Any, arguments: list[Any], keywords: dict[str, Any], call: str, function: str) -> str:
    """A value whose call might have changed its arguments or handed one of them back."""
    changes: dict[str, Any] = {}
    for place, argument in enumerate(arguments):
        if argument is value and type(argument) in {list, dict, set, bytearray}:
            changes["same"] = place
    after = values.encode([function, arguments, keywords])
    if after != call:
        changes["after"] = json.loads(after)
    extra = f",{json.dumps(changes)}" if changes else ""
    return f'["{ResultKind.RETURNED}",{values.encode(value)}{extra}]'


def _raised(error: BaseException) -> str:
    """An exception: its class by name, the nearest class that any interpreter knows, and what it says."""
    kind = type(error)
    nearest = next(base for base in kind.__mro__ if _is_builtin(base))
    if kind is not nearest and vars(error):
        return _OPAQUE  # it carries more than can be told
    try:
        said = str(error)[:_LONGEST_MESSAGE]
        arguments = values.encode(list(error.args)) if nearest is kind else "null"
        head = json.dumps([kind.__module__, kind.__qualname__, nearest.__name__, said])
    except Exception:
        return _OPAQUE
    return f'["{ResultKind.RAISED}",{head},{arguments}]'


def _is_builtin(kind: type) -> bool:
    return kind.__module__ == "builtins" and isinstance(getattr(builtins, kind.__name__, None), type)


def plain_call(function: str, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> str:
    """The text of a call.

    Raises:
        NotPlainError: an argument is not plain data, or two have something in common that can be changed.
    """
    known: set[int] = set()
    if not all(values.has_new_parts(argument, known) for argument in (*arguments, *keywords.values())):
        raise NotPlainError("arguments have parts in common")
    return values.encode([function, list(arguments), keywords])


def change(arguments: tuple[Any, ...], keywords: dict[str, Any], after: list[Any]) -> None:
    """Make arguments equal to what a call has left of them, in place, as deep as they keep their types."""
    _, new_arguments, new_keywords = values.restored(after)
    for old, new in zip(arguments, new_arguments, strict=True):
        _assign(old, new)
    for name, new in new_keywords.items():
        _assign(keywords[name], new)


def _assign(old: Any, new: Any) -> None:
    if type(old) is not type(new):
        return
    if isinstance(old, list):
        kept_items = old[:]
        old[:] = new
        for place, (kept_item, item) in enumerate(zip(kept_items, new, strict=False)):
            if isinstance(item, _CHANGEABLE) and type(kept_item) is type(item):
                old[place] = kept_item
                _assign(kept_item, item)
    elif isinstance(old, bytearray):
        old[:] = new
    elif isinstance(old, dict):
        kept = {key: old[key] for key in new if key in old}
        old.clear()
        for key, item in new.items():
            keeps = isinstance(item, _CHANGEABLE) and type(kept.get(key)) is type(item)
            old[key] = kept[key] if keeps else item
            if keeps:
                _assign(old[key], item)
    elif isinstance(old, set):
        old.clear()
        old.update(new)
    elif isinstance(old, tuple):
        for old_item, new_item in zip(old, new, strict=True):
            _assign(old_item, new_item)

"""Calls of a Python candidate, made in a candidate process; results as plain data."""

import collections
import gc
import json
import operator
import sys
from collections.abc import Sequence
from typing import Any

from testbudget.executors.execution import values
from testbudget.executors.execution.languages.base import CallJobs
from testbudget.executors.execution.languages.messages import OPAQUE_RESULT, ResultKind
from testbudget.executors.execution.languages.python.interpreter import (
    LoadFailure,
    is_reusable,
    load_candidate,
)
from testbudget.executors.execution.languages.python.raised import describe_exception
from testbudget.executors.execution.processes.process import ProcessRunner
from testbudget.executors.execution.processes.result_buffer import ResultBuffer
from testbudget.executors.execution.values import NotPlainError
from testbudget.rewards.problem import Verdict

_IMMUTABLE = frozenset({int, float, bool, str, bytes, complex, type(None)})
_MUTABLE = (list, dict, set, bytearray, collections.deque)
_UNSHARED = next(map(sys.getrefcount, [[]])) + 1  # references to a container that is in one other list only
_NO_KEYWORDS = ',{"dict":[]}]'
_SHORT = 1024
_RETURNED = f'["{ResultKind.RETURNED}",'
_OUT_OF_MEMORY = f'["{ResultKind.ENDED}",{Verdict.OUT_OF_MEMORY:d}]'

_plain_calls: dict[str, tuple[str, list[Any], dict[str, Any], bool]] = {}


def make_calls(
    buffer: ResultBuffer, process_runner: ProcessRunner, jobs: CallJobs, entry_point: str | None
) -> None:
    """Make the calls of each job, as described by `Language.make_calls`.

    If this process cannot be reused for another job, the remaining steps are left out.
    """
    for step in range(jobs.number):
        calls = jobs.calls.of_next_step()
        call, more = next(calls)
        buffer.begin(step)
        loaded = load_candidate(jobs.candidate.content, entry_point)
        if isinstance(loaded, LoadFailure):
            buffer.append(step, json.dumps(loaded.as_message()).encode())
        else:
            buffer.mark_loaded()
            if call:
                buffer.append(step, _result(vars(loaded), _text(call), only=not more).encode())
            for call, _ in calls:
                buffer.append(step, _result(vars(loaded), _text(call), only=False).encode())
        buffer.finish(step)
        if not is_reusable():
            return
        if step + 1 < jobs.number:
            process_runner.empty_directory()


def forget_calls() -> None:
    """Forget the calls that this process has decoded."""
    _plain_calls.clear()


def _text(call: bytes) -> str:
    return call.decode("utf-8", "surrogatepass")


def _result(names: dict[str, Any], call: str, *, only: bool) -> str:  # noqa: PLR0911 - a table
    """Result of a call; ``only`` means that no other call is made for the test."""
    try:
        function, arguments, keywords, plain = _plain_calls.get(call) or _decode(call)
    except MemoryError:
        return _OUT_OF_MEMORY
    if function not in names:
        return _raised(NameError(f"name {function!r} is not defined"))
    try:
        given = [] if plain else _mutable_parts((*arguments, *keywords.values()))
        held = list(map(sys.getrefcount, given))
        value = names[function](*arguments, **keywords)
    except MemoryError:
        return _OUT_OF_MEMORY
    except BaseException as error:
        raised = _raised(error)
    else:
        raised = ""
    try:
        if raised:
            if given and ((not only and _are_kept(given, held)) or _are_moved(given, arguments, keywords)):
                return OPAQUE_RESULT
            return raised if plain else _raised_changing(raised, function, arguments, keywords, call)
        if type(value) not in _IMMUTABLE and not _is_independent(value, arguments, given, held, only=only):
            return OPAQUE_RESULT
        if given and ((not only and _are_kept(given, held)) or _are_moved(given, arguments, keywords)):
            return OPAQUE_RESULT
        return _returned(value) if plain else _returned_changing(value, function, arguments, keywords, call)
    except (NotPlainError, RecursionError):
        return OPAQUE_RESULT
    except MemoryError:
        return _OUT_OF_MEMORY


def _is_independent(
    value: Any, arguments: Sequence[Any], given: list[Any], held: list[int], *, only: bool
) -> bool:
    """Return whether a test could change a value without an effect on any other object.

    Args:
        value: returned by a call.
        arguments: arguments of the call. The value may be one of them as a whole.
        given: mutable containers in the arguments.
        held: expected number of references to each of these; corrected for the value.
        only: no further call follows in which the candidate could use containers that it has kept.
    """
    known = [*map(id, given)]
    if id(value) in known:
        held[known.index(id(value))] += 1
        return any(value is argument for argument in arguments)
    made = values.mutable_containers(value)
    if len(made) > 1 and len({*map(id, made)}) < len(made):
        return False
    if not {*known}.isdisjoint(map(id, made)):
        return False
    # The caller of this function holds one more reference to the value itself.
    return only or not _are_kept(made, [_UNSHARED + (part is value) for part in made])


def _decode(call: str) -> tuple[str, list[Any], dict[str, Any], bool]:
    """Function, arguments and keyword arguments of a call, and whether all arguments are immutable."""
    if call.endswith(_NO_KEYWORDS):
        function, arguments = values.decode(f"{call.removesuffix(_NO_KEYWORDS)}]")
        keywords: dict[str, Any] = {}
    else:
        function, arguments, keywords = values.decode(call)
    plain = not keywords and _IMMUTABLE.issuperset(map(type, arguments))
    decoded = (function, arguments, keywords, plain)
    if plain and len(call) < _SHORT:  # other candidates get the same call
        _plain_calls[call] = decoded
    return decoded


def _mutable_parts(arguments: Sequence[Any]) -> list[Any]:
    """Mutable containers in arguments, at any depth."""
    if len(arguments) == 1:
        return values.mutable_containers(arguments[0])
    return [part for argument in arguments for part in values.mutable_containers(argument)]


def _are_kept(objects: list[Any], held: list[int]) -> bool:
    """Return whether there are more references to objects than expected."""
    if all(map(operator.le, map(sys.getrefcount, objects), held)):
        return False
    gc.collect()  # reference cycles, such as functions that call each other, may hold arguments
    return not all(map(operator.le, map(sys.getrefcount, objects), held))


def _are_moved(given: list[Any], arguments: Sequence[Any], keywords: dict[str, Any]) -> bool:
    """Return whether containers in arguments are in other places than before the call.

    The judge changes arguments in place, so a test would find a container changed that it holds itself.
    """
    now = _mutable_parts((*arguments, *keywords.values()))
    return [*map(id, now)] != [*map(id, given)]


def _returned(value: Any, more: str = "") -> str:
    return f"{_RETURNED}{values.encode(value)}{more}]"


def _returned_changing(
    value: Any, function: str, arguments: list[Any], keywords: dict[str, Any], call: str
) -> str:
    """Result of a call that may have changed its arguments or returned one of them."""
    changes: dict[str, Any] = {}
    for place, argument in enumerate(arguments):
        if argument is value and type(value) not in _IMMUTABLE and values.mutable_containers(value):
            changes["same"] = place
    if (after := _after(function, arguments, keywords, call)) is not None:
        changes["after"] = after
    return _returned(value, f",{json.dumps(changes)}" if changes else "")


def _raised_changing(
    raised: str, function: str, arguments: list[Any], keywords: dict[str, Any], call: str
) -> str:
    """Result of a call that raised and may have changed its arguments."""
    after = _after(function, arguments, keywords, call)
    if after is None or raised == OPAQUE_RESULT:
        return raised
    return f"{raised[:-1]},{json.dumps({'after': after})}]"


def _after(function: str, arguments: list[Any], keywords: dict[str, Any], call: str) -> Any:
    """Parsed JSON of a call with its arguments as they are now; None if they have not changed."""
    if not keywords and call == f'["{function}",{values.encode(arguments)}{_NO_KEYWORDS}':
        return None
    after = values.encode([function, arguments, keywords])
    return None if after == call else json.loads(after)


def _raised(error: BaseException) -> str:
    """Exception as a result: its description and its arguments."""
    try:
        description, arguments = describe_exception(error)
        return f'["{ResultKind.RAISED}",{json.dumps(description)},{arguments}]'
    except Exception:  # also of the candidate's own methods
        return OPAQUE_RESULT


def plain_call(function: str, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> str:
    """Text of a call, from which another process can make it.

    Raises:
        NotPlainError: an argument is not plain data, or two arguments share a mutable container.
    """
    if arguments or keywords:
        parts = values.mutable_containers([*arguments, *keywords.values()])
        if len(set(map(id, parts))) < len(parts):
            raise NotPlainError("arguments share a mutable container")
    text = values.encode([function, list(arguments), keywords])
    if "NaN" in text:
        raise NotPlainError("a not-a-number that is not math.nan is known by its identity")
    return text


def change_arguments(arguments: tuple[Any, ...], keywords: dict[str, Any], after: list[Any]) -> None:
    """Change arguments in place to their state after a call.

    A container is kept where its type is unchanged.

    Args:
        arguments: arguments of the call.
        keywords: its keyword arguments.
        after: function, arguments and keyword arguments after the call, as parsed JSON.

    Raises:
        ValueError: ``after`` does not describe these arguments.
    """
    _, new_arguments, new_keywords = values.restore(after)
    for old, new in zip(arguments, new_arguments, strict=True):
        _assign(old, new)
    for name, new in new_keywords.items():
        _assign(keywords[name], new)


def _assign(old: Any, new: Any) -> None:
    if type(old) is not type(new):
        return
    if isinstance(old, list | collections.deque):
        _assign_items(old, new)
    elif isinstance(old, bytearray):
        old[:] = new
    elif isinstance(old, dict):
        kept = {key: old[key] for key in new if key in old}
        old.clear()
        for key, item in new.items():
            keeps = isinstance(item, _MUTABLE) and type(kept.get(key)) is type(item)
            old[key] = kept[key] if keeps else item
            if keeps:
                _assign(old[key], item)
    elif isinstance(old, set):
        old.clear()
        old.update(new)
    elif isinstance(old, tuple):
        for old_item, new_item in zip(old, new, strict=True):
            _assign(old_item, new_item)
    elif hasattr(old, "dtype") and values.mutable_containers(old):
        if old.shape != new.shape or old.dtype != new.dtype:
            raise NotPlainError("an array has another shape")
        old[...] = new


def _assign_items(old: Any, new: Any) -> None:
    """Change the items of a sequence."""
    kept_items = list(old)
    old.clear()
    old.extend(new)
    for place, (kept_item, item) in enumerate(zip(kept_items, new, strict=False)):
        if values.mutable_containers(item) and type(kept_item) is type(item):
            old[place] = kept_item
            _assign(kept_item, item)

"""Plain settings of an interpreter: each is read, compared and written as JSON.

The table is read before each request, so a reader takes about a microsecond. Functions are bound here once:
a test may replace them in their modules.
"""

import decimal
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

_environ_type = type(os.environ)
_get_context, _set_limit = decimal.getcontext, sys.setrecursionlimit
_get_directory, _set_directory, _encoded, _decoded = os.getcwd, os.chdir, os.fsencode, os.fsdecode
_set_time_zone = time.tzset

_LIMIT_STEP = 50
_CONTEXT_FIELDS = ("prec", "rounding", "Emin", "Emax", "capitals", "clamp")
_SIGNALS: dict[str, Any] = {
    signal.__name__: signal
    for signal in (
        decimal.Clamped,
        decimal.InvalidOperation,
        decimal.DivisionByZero,
        decimal.Inexact,
        decimal.Rounded,
        decimal.Subnormal,
        decimal.Overflow,
        decimal.Underflow,
        decimal.FloatOperation,
    )
}


def _new(_: Any, value: Any) -> Any:
    return value


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting.

    Attributes:
        read: function that returns the value, to be compared with ``==``.
        write: function that sets it to what ``changes`` gave.
        changes: function that gives the JSON form of a new value, from the value before and the new one.
    """

    read: Callable[[], Any]
    write: Callable[[Any], None]
    changes: Callable[[Any, Any], Any] = _new


def _write_recursion_limit(limit: int) -> None:
    while True:
        try:
            _set_limit(limit)
        except RecursionError:  # this process has more frames below the candidate than a test expects
            limit += _LIMIT_STEP
        else:
            return


def _read_decimal() -> Any:
    context = _get_context()
    *fields, _, traps = context.__reduce__()[1]
    return fields, traps


def _decimal_changes(_: Any, value: Any) -> Any:
    fields, traps = value
    return [fields, [signal.__name__ for signal in traps]]


def _write_decimal(value: Any) -> None:
    context = _get_context()
    fields, traps = value
    for name, field in zip(_CONTEXT_FIELDS, fields, strict=True):
        setattr(context, name, field)
    for name, signal in _SIGNALS.items():
        context.traps[signal] = name in traps


def _read_print_options() -> Any:
    numpy = sys.modules.get("numpy")
    return numpy.get_printoptions() if numpy is not None else None


def _print_option_changes(before: Any, value: Any) -> Any:
    return {
        name: option
        for name, option in value.items()
        if (before is None or before.get(name) != option) and name != "formatter"
    }


def _write_print_options(value: Any) -> None:
    import numpy  # optional; the test has imported it

    numpy.set_printoptions(**value)


def _read_error_state() -> Any:
    numpy = sys.modules.get("numpy")
    return numpy.geterr() if numpy is not None else None


def _write_error_state(value: Any) -> None:
    import numpy  # optional; the test has imported it

    numpy.seterr(**value)


def _read_environment() -> dict[bytes, bytes]:
    current: Any = os.environ
    if type(current) is _environ_type:
        return dict(vars(current)["_data"])
    texts = {name: text for name, text in dict(current).items() if type(name) is type(text) is str}
    return {_encoded(name): _encoded(text) for name, text in texts.items()}


def _environment_changes(before: Any, value: Any) -> Any:
    return {
        _decoded(name): _decoded(value[name]) if name in value else None
        for name in sorted(before.keys() | value.keys())
        if before.get(name) != value.get(name)
    }


def _write_environment(changes: dict[str, str | None]) -> None:
    for name, text in changes.items():
        if text is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = text


def _read_time_zone() -> Any:
    return time.timezone, time.altzone, time.tzname


def _write_time_zone(_: Any) -> None:
    _set_time_zone()  # reads TZ, which crosses with the environment


def _read_directory() -> str | None:
    try:
        return _get_directory()
    except OSError:  # removed
        return None


def _write_directory(path: str | None) -> None:
    if path is not None:
        _set_directory(path)


def _read_arguments() -> list[str]:
    return [item for item in sys.argv if isinstance(item, str)]


def _write_arguments(value: list[str]) -> None:
    sys.argv = value


SETTINGS: dict[str, Setting] = {
    "recursion limit": Setting(sys.getrecursionlimit, _write_recursion_limit),
    "int digits": Setting(sys.get_int_max_str_digits, sys.set_int_max_str_digits),
    "decimal": Setting(_read_decimal, _write_decimal, _decimal_changes),
    "print options": Setting(_read_print_options, _write_print_options, _print_option_changes),
    "error state": Setting(_read_error_state, _write_error_state),
    "environment": Setting(_read_environment, _write_environment, _environment_changes),
    "time zone": Setting(_read_time_zone, _write_time_zone),
    "directory": Setting(_read_directory, _write_directory),
    "arguments": Setting(_read_arguments, _write_arguments),
}
"""Settings by name. A time zone comes after the environment that it is read from."""

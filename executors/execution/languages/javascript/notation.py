"""Values in the notation of ``execution/values.py``, as JavaScript's in the notation of ``values.js``."""

import math
from typing import Any

from testbudget.executors.execution.values import NotPlainError

_LARGEST_INTEGER = 1 << 53  # that a number of JavaScript holds exactly, with all below


def javascript_value(content: Any) -> Any:  # noqa: PLR0911 - a table
    """JavaScript's counterpart of a value, both as parsed JSON.

    Tuples become arrays, bytes an ``Uint8Array``, and dictionaries objects where all keys are texts or
    numbers, else maps.

    Raises:
        NotPlainError: JavaScript has no such value.
    """
    match content:
        case float():
            return _number(content)
        case [*items] | {"tuple": [*items]}:
            return [javascript_value(item) for item in items]
        case {"set": [*items]} | {"frozenset": [*items]}:
            return {"set": [javascript_value(item) for item in items]}
        case {"dict": [*entries]}:
            if all(type(key) in {str, int} for key, _ in entries):
                return {"object": [[str(key), javascript_value(item)] for key, item in entries]}
            return {"map": [[javascript_value(key), javascript_value(item)] for key, item in entries]}
        case {"int": text}:
            return {"number": str(int(text, 16))}
        case {"math": "nan"}:
            return _number(math.nan)
        case {"text": text}:
            return bytes.fromhex(text).decode("utf-32-le", "surrogatepass")
        case {"bytes": text}:
            return {"typed": ["Uint8Array", [*bytes.fromhex(text)]]}
        case dict():
            raise NotPlainError(f"JavaScript has no {next(iter(content), 'such value')}")
    return content


def _number(value: float) -> Any:
    if math.isnan(value):
        return {"number": "NaN"}
    if math.isinf(value):
        return {"number": "Infinity" if value > 0 else "-Infinity"}
    if value == 0 and math.copysign(1, value) < 0:
        return {"number": "-0"}
    return int(value) if value.is_integer() and abs(value) <= _LARGEST_INTEGER else value

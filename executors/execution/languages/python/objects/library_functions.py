"""Library functions that a candidate's process calls for the judge, by a fixed table."""

import copy
import dataclasses
import inspect
import pickle
import sys
import typing
from collections.abc import Callable
from typing import Any

from testbudget.executors.execution.languages.python.interpreter import MODULE


def describe_signature(target: Any, **keywords: Any) -> tuple[Any, ...]:
    """Parameters of a callable, each as name, kind, default and annotation, and the return annotation.

    A default or an annotation is a tuple of one value, or empty if there is none.
    """
    signature = inspect.signature(target, **keywords)
    parameters = tuple(
        (part.name, int(part.kind), _optional(part.default), _optional(part.annotation))
        for part in signature.parameters.values()
    )
    return parameters, _optional(signature.return_annotation)


def evaluate(text: str, names: dict[str, Any]) -> Any:
    """Evaluate a text with the names of the candidate, and with given ones."""
    return _evaluated(text, vars(sys.modules[MODULE]), names)


_evaluated = eval


def _optional(value: Any) -> tuple[Any, ...]:
    return () if value is inspect.Parameter.empty else (value,)


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    f"{module.__name__}.{name}": getattr(module, name)
    for module, names in (
        (copy, "copy deepcopy"),
        (dataclasses, "asdict astuple fields replace"),
        (
            inspect,
            "getdoc getfullargspec getmembers getmodule getmro getsource getsourcelines isabstract "
            "isasyncgenfunction iscoroutinefunction isdatadescriptor isgeneratorfunction",
        ),
        (pickle, "dumps loads"),
        (sys, "getsizeof"),
        (typing, "get_type_hints"),
    )
    for name in names.split()
} | {
    "builtins.eval": evaluate,
    "builtins.issubclass": issubclass,
    "inspect.signature": describe_signature,
}


def library_function(name: str) -> Callable[..., Any]:
    """Function of the table.

    Raises:
        KeyError: the table has no function with this name.
    """
    return _FUNCTIONS[name]

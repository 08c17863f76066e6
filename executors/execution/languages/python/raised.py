"""Exceptions of a candidate as plain data, and what a test finds in their place.

A description is ``[module, name, nearest, text, attribute]``: the class, its nearest built-in base, the
text if it is not the one that the base gives to the arguments, and the attribute ``name`` where the
interpreter sets it. The arguments follow apart.
"""

import builtins
import sys
from typing import Any

from testbudget.executors.execution import values
from testbudget.executors.execution.languages.python.interpreter import MODULE
from testbudget.executors.execution.languages.python.library_tables import PLAIN_MODULES
from testbudget.executors.execution.values import NotPlainError

_MAX_TEXT = 10_000
_NAMED = (AttributeError, ImportError, NameError)
_NO_CLASSES_OF = frozenset({"unittest", "pytest", "parameterized", "typing"})


def describe_exception(error: BaseException) -> tuple[list[Any], str]:
    """Description of an exception, and its arguments as a text of ``values.encode``.

    Raises:
        NotPlainError: it holds more than plain data, or its class has several built-in bases.
    """
    kind = type(error)
    nearest = next(base for base in kind.__mro__ if _is_builtin(base))
    bases = [base for base in kind.__mro__ if _is_builtin(base)]
    if vars(error) or not set(bases) <= set(nearest.__mro__):
        raise NotPlainError(kind.__name__)
    if isinstance(error, OSError) and error.filename is not None:
        raise NotPlainError("an error with a file name")
    if isinstance(error, BaseExceptionGroup) or _has_slots(kind, nearest):
        raise NotPlainError(kind.__name__)
    name = error.name if isinstance(error, _NAMED) and type(error.name) is str else None
    text: str | None = None
    if kind is not nearest:
        text = str(error)[:_MAX_TEXT]
        if text == BaseException.__str__(error)[:_MAX_TEXT]:
            text = None
    try:
        arguments = values.encode(list(error.args))
        encoded_text = None if text is None else values.encode(text)
    except RecursionError:
        raise NotPlainError("nested too deeply") from None
    return [kind.__module__, kind.__qualname__, nearest.__name__, encoded_text, name], arguments


def _has_slots(kind: type, nearest: type) -> bool:
    return any("__slots__" in vars(base) for base in kind.__mro__[: kind.__mro__.index(nearest)])


def _is_builtin(kind: type) -> bool:
    return kind.__module__ == "builtins" and getattr(builtins, kind.__name__, None) is kind


def rebuild_exception(description: Any, arguments: Any) -> BaseException:
    """Exception that a candidate has raised, or one that a test cannot distinguish from it.

    Args:
        description: as ``describe_exception`` gives it, from a process that may write anything.
        arguments: parsed JSON of the arguments.

    Raises:
        ValueError: it describes no exception.
    """
    match description:
        case [str(module), str(name), str(nearest), text, attribute]:
            base = vars(builtins).get(nearest)
        case _:
            raise ValueError("no description of an exception")
    given = values.restore(arguments)
    if not (isinstance(base, type) and issubclass(base, BaseException)) or type(given) is not list:
        raise ValueError(f"{nearest} is not an exception")
    kind: Any = base
    if (module, name) != ("builtins", nearest):
        kind = _library_class(module, name, base) or _own_class(name, base, text)
    error: BaseException = kind.__new__(kind, *given)
    if isinstance(error, OSError | UnicodeError | SyntaxError | ImportError | SystemExit | StopIteration):
        try:
            base.__init__(error, *given)
        except TypeError:  # it does not accept these arguments
            error.args = tuple(given)
    error.args = tuple(given)
    if isinstance(error, _NAMED) and type(attribute) is str:
        error.name = attribute
    return error


def _library_class(module: str, name: str, base: type) -> type | None:
    """Class of a harmless module under its own name; None if there is none."""
    root = module.partition(".")[0]
    if root not in PLAIN_MODULES or root in _NO_CLASSES_OF or module not in sys.modules:
        return None
    found = vars(sys.modules[module]).get(name)
    if not isinstance(found, type) or not issubclass(found, base):
        return None
    return found if (found.__module__, found.__qualname__) == (module, name) else None


def _own_class(name: str, base: type, text: Any) -> type:
    """Class with the name of a candidate's class."""
    content: dict[str, Any] = {"__module__": MODULE, "__qualname__": name}
    if type(text) is str:
        shown = values.decode(text)
        content["__str__"] = lambda _: shown if type(shown) is str else ""
    return type(name.rpartition(".")[2], (base,), content)

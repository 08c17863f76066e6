"""Values of the marks in a Python test while it runs, and what they have noticed."""

import functools
import types
from collections.abc import Callable, Iterator
from string import Formatter
from typing import Any

from testbudget.executors.execution.languages.python.assertion_marks import (
    ARRAY,
    HELD,
    NAMED,
    NUMBER,
    RAN,
    SAME,
    TEMPLATE,
)
from testbudget.executors.execution.languages.python.caveats import Caveat, caveats_of, is_empty_array
from testbudget.executors.execution.languages.python.reasons import CANDIDATE_FILE

_MAX_DEPTH = 4
_ORDERED = frozenset({int, str, bool})
_parse = Formatter().parse


class RunningMarks:
    """Functions that a marked test calls.

    Attributes:
        trusted: True if nothing is in doubt that the candidate does.
        asserted: True once an assertion has held.
        found_template: True once a template that is no constant of the test was used which reads an
            attribute or an item.
        caveats: properties of what the test has compared.

    Args:
        code: code of the test.
        was_called: function that returns True once the test has used something of the candidate's.
        note_same: function to call with what an ``assert`` has found to be the same object.
        trusted: True if nothing is in doubt that the candidate does.
    """

    def __init__(
        self,
        code: types.CodeType,
        was_called: Callable[[], bool],
        note_same: Callable[[Any], object] = id,
        *,
        trusted: bool = False,
    ) -> None:
        self.trusted = trusted
        self.asserted = False
        self.found_template = False
        self.caveats: set[Caveat] = set()
        self._is_assertion = False
        self._code = code
        self._was_called = was_called
        self._note_same = note_same

    def names(self) -> dict[str, Callable[..., Any]]:
        """The functions, by the names under which a test calls them."""
        return {
            RAN: self._ran,
            NAMED: self._named,
            HELD: self._held,
            TEMPLATE: self._template,
            NUMBER: self._number,
            ARRAY: self._array,
            SAME: self._note_same,
        }

    def begin_case(self) -> bool:
        """Forget the assertions so far, and return whether there were any."""
        asserted, self.asserted = self.asserted, False
        return asserted

    def _ran(self) -> None:
        self.asserted = True

    def _named(self, function: Any) -> Any:
        self._is_assertion = _is_assertion(function)
        return function

    def _held(self) -> None:
        self.asserted = self.asserted or self._is_assertion

    def _number(self, operand: Any) -> Any:
        if type(operand) in _ORDERED:
            return operand
        found = set(caveats_of(operand, infinite=True))
        self.caveats.update(found & {Caveat.NOT_A_NUMBER, Caveat.INFINITE})
        return self._array(operand)

    def _array(self, operand: Any) -> Any:
        if is_empty_array(operand):
            self.note_empty_operand()
        return operand

    def note_empty_operand(self) -> None:
        """Note that an empty array was compared, unless the test has only its own so far."""
        if self._was_called():
            self.caveats.add(Caveat.EMPTY_OPERAND)

    def _template(self, method: Any) -> Any:
        if type(method) is types.MethodDescriptorType:  # str.format

            @functools.wraps(method)
            def checked(text: Any, *arguments: Any, **keywords: Any) -> Any:
                self._check(text)
                return method(text, *arguments, **keywords)

            return checked
        if type(method) is types.BuiltinMethodType:
            self._check(method.__self__)
        return method

    def _check(self, text: Any) -> None:
        if isinstance(text, str) and reads_parts(text) and text not in set(_texts(self._code.co_consts)):
            self.found_template = True


def _is_assertion(function: Any) -> bool:
    """Return whether a function is one of the test's or of a library, and none of the candidate's."""
    while type(function) in {types.MethodType, functools.partial}:
        function = function.__func__ if type(function) is types.MethodType else function.func
    return is_own_function(function)


def is_own_function(function: Any) -> bool:
    """Return whether a value is a function of the test or of a library.

    Args:
        function: value that may be the candidate's.
    """
    return type(function) is types.FunctionType and function.__code__.co_filename != CANDIDATE_FILE


def reads_parts(text: str, depth: int = 0) -> bool:
    """Return whether a template reads an attribute or an item of what it is filled with."""
    if depth > _MAX_DEPTH:
        return True
    try:
        fields = list(_parse(str.__str__(text)))
    except ValueError:
        return False
    for _, field, specification, _ in fields:
        if field is not None and ("." in field or "[" in field):
            return True
        if specification and "{" in specification and reads_parts(specification, depth + 1):
            return True
    return False


def _texts(constants: tuple[Any, ...]) -> Iterator[str]:
    """Texts among the constants of a program, at any depth."""
    for constant in constants:
        if type(constant) is str:
            yield constant
        elif isinstance(constant, tuple | frozenset):
            yield from _texts(tuple(constant))
        elif isinstance(constant, types.CodeType):
            yield from _texts(constant.co_consts)

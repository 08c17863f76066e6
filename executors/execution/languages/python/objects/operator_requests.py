"""Operators and calls of a candidate's objects in a test, and what a pass must not rest on."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, NoReturn

from testbudget.executors.execution.languages.python.caveats import (
    Caveat,
    caveats_of,
    caveats_of_numbers,
)
from testbudget.executors.execution.languages.python.objects import frames, memberships, operators, tables
from testbudget.executors.execution.languages.python.objects.contents import content_of, snapshot
from testbudget.executors.execution.languages.python.objects.logged_request import LoggedRequest
from testbudget.executors.execution.languages.python.objects.mirrors import MirrorMeta
from testbudget.executors.execution.languages.python.objects.names import JudgeNames
from testbudget.executors.execution.languages.python.objects.peer import Peer
from testbudget.executors.execution.languages.python.objects.scripts import RequestLog
from testbudget.executors.execution.languages.python.objects.wire import Pipe
from testbudget.executors.execution.languages.python.reasons import shown

_CONTROL = frozenset(
    "CancelledError GeneratorExit KeyboardInterrupt StopAsyncIteration StopIteration SystemExit".split()
)
"""Exceptions with which a part of a program ends and the rest goes on."""

_COUNTED = frozenset({"call", "meth", "sp", "get", "lib", "class"})
_LOGGED = _COUNTED | {"set", "del", "await", "load"}


class OperatorRequests(Peer):
    """Peer of a judge, as far as the test asks something of the candidate.

    Attributes:
        doubts: sentences; a pass with one is not confirmed.
        losses: sentences; no verdict of a test with one is certain.
        excuses: sentences; a test with one may have failed for this reason alone.
        equal: pairs of numbers of objects that were equal by their own operator, with the position in the
        log.
        same: numbers of objects that were equal to themselves, with the position in the log.
        again: numbers of objects that a constructor gave after another answer, with its position.
        log: requests made.
        caveats: properties of what the candidate gave.
        used: number of requests that use something of the candidate's.
        taught: number of requests made before an operator that was shown plain data has first denied it;
            None if none has.
        names: names of the candidate and of the test.
    """

    def __init__(self, pipe: Pipe, names: JudgeNames) -> None:
        super().__init__(pipe)
        self.doubts: dict[str, None] = {}
        self.losses: dict[str, None] = {}
        self.excuses: dict[str, None] = {}
        self.equal: list[tuple[int, int, int]] = []
        self.same: list[tuple[int, int]] = []
        self.again: list[tuple[int, int]] = []
        self.log = RequestLog(names.seed)
        self.used = 0
        self.names = names
        self.is_comparing = False
        self.taught: int | None = None
        self.caveats: set[Caveat] = set()
        self._uses_arrays = "numpy" in names.used
        self._entry: LoggedRequest | None = None
        self._instances: set[int] = set()
        self._enumerations: list[type] = []
        self._constructed: set[int | None] = set()
        self._classes: set[type] = set()
        self._first: dict[int, int] = {}
        self._queries: dict[int, tuple[Any, str]] = {}  # by number of what was got under such a name

    def doubt(self, sentence: str) -> None:
        """Note why a pass is not confirmed."""
        self.doubts.setdefault(sentence)

    def lose(self, sentence: str) -> None:
        """Note why no verdict is certain."""
        self.losses.setdefault(sentence)

    def note_called_back(self) -> None:
        """Notice that the candidate asks for something before it answers."""
        if self.is_comparing:
            self.doubt("The candidate's own operator called the test back during a comparison.")

    def serve_message(self, message: list[Any]) -> None:  # noqa: D102
        if not self.depth and self._entry is not None:
            self._entry.exchanges.append([message[0], None])
        super().serve_message(message)

    def note_sent(self, body: list[Any], text: bytes) -> None:  # noqa: D102
        if self.depth:
            if self._entry is not None:
                self._entry.note_answer(body, text, self.depth)
            return
        self._entry = self.log.begin(text if body[0] in _LOGGED else None)
        self.used += body[0] in _COUNTED

    def _read_answer(self, message: list[Any], leaves: Any) -> Any:
        if not self.depth and self._entry is not None:
            self._entry.answer = message[0]
        if self.is_comparing and len(message) > 1:
            self.doubt("A comparison by the candidate's own operator changed something.")
        value = super()._read_answer(message, leaves)
        if message[0][0] == "=":
            self.caveats.update(caveats_of(value))
        return value

    def fill(self, value: Any, tag: str, content: Any) -> None:  # noqa: D102
        super().fill(value, tag, content)
        if self._uses_arrays and tag != "n" and not value:
            self.caveats.add(Caveat.EMPTY_CONTAINER)
        if tag not in "ny":
            self.caveats.update(caveats_of_numbers(snapshot(value, tag)))

    def import_proxy(self, number: int, proxy: object) -> None:  # noqa: D102
        self._first.setdefault(number, len(self.log))
        super().import_proxy(number, proxy)

    def call(self, target: Any, arguments: Any, keywords: Any) -> Any:  # noqa: D102
        position = len(self.log)
        value = self._making(super().call, target, arguments, keywords)
        if self._queries and (query := self._queries.get(self.number(target))) is not None:
            owner, name = query
            shown = arguments
            if isinstance(owner, MirrorMeta) and arguments and type.__instancecheck__(owner, arguments[0]):
                owner, shown = arguments[0], arguments[1:]
            self._check_query(owner, name, shown, keywords, value)
        if (
            isinstance(target, MirrorMeta)
            and not self.depth
            and (number := self.number_of(value)) is not None
        ):
            self._instances.add(number)
            if self._first.get(number, position) <= position:
                self.again.append((number, position))
            if self.names.is_class_of_test(target):
                self._constructed.add(number)
                self._classes.add(type(value))
        return value

    def _making(self, request: Callable[..., Any], *parts: Any) -> Any:
        """Answer of a request, noted as one that has made the object that it returns."""
        position = len(self.log)
        value = request(*parts)
        if not self.depth and (number := self.number_of(value)) is not None:
            if any(parts[0] is one for one in self._enumerations) and not isinstance(value, MirrorMeta):
                self.log.note_member(number, position, of_enumeration=True)
            else:
                self.log.note_made(number, position)
        return value

    def note_mirror(self, mirror: type, described: dict[str, Any]) -> None:  # noqa: D102
        if described.get("e"):
            self._enumerations.append(mirror)
        if type(package := described.get("p")) is str:
            self.excuses.setdefault(f"Objects of {package} do not cross as plain data.")

    def get_attribute(self, target: Any, name: str) -> Any:
        """Attribute of an object; of an enumeration, a member."""
        if isinstance(target, MirrorMeta) and any(target is one for one in self._enumerations):
            return self._making(super().get_attribute, target, name)
        position = len(self.log)
        value = super().get_attribute(target, name)
        self._note_query(target, name, value)
        number = self.number_of(value) if isinstance(target, MirrorMeta) and not self.depth else None
        if number is not None and name[0] != "_" and not callable(value):
            self.log.note_member(number, position, of_enumeration=False)
        return value

    def _note_query(self, target: Any, name: str, value: Any) -> None:
        """Remember what may be called in place of a query, or doubt it if its calls cannot be seen."""
        query = (target, name) if name in operators.QUERIES else None
        if self._queries and tables.is_dunder(name):
            query = self._queries.get(self.number(target))
        if query is None:
            return
        number = self.number_of(value)
        if number is not None:
            self._queries[number] = query
        elif callable(value) and not self._is_of_test(target):
            self.doubt(f"The candidate gave a function of the library as its own {query[1]}.")

    def _is_of_test(self, target: Any) -> bool:
        """Return whether the test has made an object itself, or names a class."""
        if isinstance(target, MirrorMeta):
            return self.names.is_class_of_test(target)
        return self.number_of(target) in self._constructed

    def call_method(self, target: Any, name: str, arguments: Any, keywords: Any) -> Any:  # noqa: D102
        value = self._making(super().call_method, target, name, arguments, keywords)
        if name in operators.QUERIES:
            self._check_query(target, name, arguments, keywords, value)
        return value

    def _check_query(
        self, target: Any, name: str, arguments: Any, keywords: dict[str, Any], value: Any
    ) -> None:
        """Doubt a query of an object that the test did not make itself and may take for plain data."""
        if value is None or self._is_of_test(target):
            return
        if any(map(operators.is_plain, [*arguments, *keywords.values()])) and not operators.same_answer(
            operators.content_call(target, name, arguments, keywords), value
        ):
            self.doubt(f"The candidate's own {name} was shown plain data of the test.")

    def raise_received(self, error: BaseException, body: list[Any]) -> NoReturn:
        """Raise an exception of the candidate's, and doubt those that the caller may pass over unseen."""
        kinds = [kind for kind in type.mro(type(error)) if not isinstance(kind, MirrorMeta)]
        directs = _CONTROL.intersection(kind.__name__ for kind in kinds)
        is_next = body[0] == "sp" and body[2] in {"__next__", "__anext__"} and kinds[0] is type(error)
        seen = not self.names.used.isdisjoint(directs) and frames.is_awaited(sys._getframe(1))
        if directs and not is_next and not seen:
            self.doubt(f"The candidate raised {min(directs)}, which may end a part of the test unseen.")
        if isinstance(error, IndexError) and frames.is_within_getitem(sys._getframe(2)):
            self.doubt("The candidate raised IndexError within __getitem__ of the test.")
        try:
            raise error
        finally:
            del error

    def call_special(self, target: Any, name: str, arguments: Any) -> Any:  # noqa: D102
        if name == "__contains__":
            if self.number_of(arguments[0]) is not None:
                return self._ask(name, target, arguments[0])
            return self._ask_own(name, target, arguments[0], affirms=bool)
        if name in {"__exit__", "__aexit__"} and len(arguments) == 3:
            return self._leave(target, name, arguments)
        if name in tables.ARITHMETIC and len(arguments) == 1 and operators.is_plain(arguments[0]):
            return self._calculate(target, name, arguments[0])
        value = self._making(super().call_special, target, name, arguments)
        if name in tables.ARITHMETIC and len(arguments) > 1:
            self.doubt(f"The candidate's own {_symbol(name)} was shown plain data of the test.")
        if name == "__len__" and not value:
            self.caveats.add(Caveat.EMPTY_CONTAINER)
        return value

    def _leave(self, target: Any, name: str, arguments: Any) -> Any:
        kind, error, trace = arguments
        own = isinstance(error, AssertionError) and self.number_of(error) is None
        if own:  # an assertion of the test is not the candidate's to swallow
            self.doubt(
                f"An assertion of the test failed within a context of the candidate: {shown(error.args)}."
            )
        swallowed = super().call_special(target, name, (kind, error, None))
        if own:
            return False
        if error is not None and swallowed and frames.skips(trace):
            self.doubt(
                "A context of the candidate swallowed an exception before the test was done with it."
            )
        return swallowed

    def given_values(self) -> frozenset[Any]:  # noqa: D102
        return frozenset(self.log.plain_values())

    def note_item(self, one: Any, item: Any, given: frozenset[Any]) -> None:  # noqa: D102
        if operators.is_plain(item) and not memberships.is_given(one, given):
            self.doubt("The candidate's own in agreed with plain data of the test.")

    def compare(self, name: str, target: Any, other: Any) -> Any:
        """Compare an object of the candidate with another one by its own operator."""
        if self.is_decoding:
            return NotImplemented
        number = self.number_of(other)
        if number is not None and not isinstance(other, MirrorMeta):
            return self._compare_objects(name, target, other, number)
        content = operators.content_answer(name, target, other)
        if content is True and name == "__eq__":
            return True
        if name == "__ne__":
            return self._ask_own(name, target, other, affirms=lambda answer: answer is False)
        if name == "__eq__":
            return self._ask_own(name, target, other, affirms=bool)
        return self._ask_own(name, target, other, affirms=_always)

    def _compare_objects(self, name: str, target: Any, other: Any, number: int) -> Any:
        answer = self._ask(name, target, other)
        equal = answer is not NotImplemented and (
            bool(answer) if name == "__eq__" else name == "__ne__" and not answer
        )
        if equal:
            mine = self.number(target)
            if mine == number:
                self.same.append((mine, len(self.log)))
            elif self.depth:
                self.doubt("Two objects of the candidate were compared while it waited for the test.")
            else:
                self.equal.append((mine, number, len(self.log)))
        return answer

    def note_equal_contents(self, one: Any, other: Any) -> None:
        """Compare two objects by their states, too, if their contents say less than they were made from."""
        if self.is_decoding:
            return
        numbers = self.number(one), self.number(other)
        contents = operators.scalars(content_of(one, tables.plain_base(type(one)) or object))
        if any(
            number in self._instances and not self.log.is_made_from(number, contents) for number in numbers
        ):
            if self.depth:
                self.doubt("Two objects of the candidate were compared while it waited for the test.")
            self.equal.append((*numbers, len(self.log)))

    def _ask_own(self, name: str, target: Any, other: Any, affirms: Callable[[Any], bool]) -> Any:
        """Ask the candidate's own operator about plain data, after the plain data behind it."""
        plain = operators.is_plain(other)
        content = operators.content_answer(name, target, other)
        state = self.state_of(target) if plain and content is None else None
        is_membership = name == "__contains__" and content is None
        held = plain and is_membership and memberships.holds(self, state, other, self.log.plain_values())
        answer = self._ask(name, target, other)
        if answer is NotImplemented:
            return answer
        if is_membership and answer is True:
            agrees = held
        else:
            agrees = plain and (content is answer or operators.agrees(name, state, other, answer))
        affirmed = type(answer) is not bool or affirms(answer)
        if affirmed and not agrees:
            self.doubt(f"The candidate's own {_symbol(name)} agreed with plain data of the test.")
        if self.taught is None and other is not None:
            self.taught = len(self.log)
        return answer

    def note_operator(self, name: str, arguments: Any, answer: Any) -> None:
        """Notice an operator that a subclass of the test has called past its own."""
        shows = name in tables.COMPARISONS or name in tables.ARITHMETIC or name == "__contains__"
        if shows and answer is not False and any(map(operators.is_plain, arguments)):
            self.doubt(f"The candidate's own {_symbol(name)} agreed with plain data of the test.")

    def _ask(self, name: str, target: Any, other: Any) -> Any:
        """Ask the candidate's own operator, with copies of containers."""
        outer = self.by_value, self.is_comparing
        self.by_value = self.is_comparing = True
        try:
            parts = self.parts((other,))
            self.by_value = outer[0]
            answer = self.request(["cmp", self.number(target), name, *parts])
        finally:
            self.by_value, self.is_comparing = outer
        if type(answer) is not bool and answer is not NotImplemented:
            self.doubt(f"The candidate's own {_symbol(name)} gave no truth value.")
        return answer

    def state_of(self, target: Any) -> Any:
        """Attributes of an object by name; objects of the candidate in them are proxies."""
        outer, self.by_value = self.by_value, True
        try:
            return self.request(["state", self.number(target)])
        finally:
            self.by_value = outer

    def _calculate(self, target: Any, name: str, other: Any) -> Any:
        content = tables.plain_base(type(target))
        before = None if content is not None else self.state_of(target)
        answer = self._making(super().call_special, target, name, (other,))
        if answer is NotImplemented:
            return answer
        after = answer
        if self.number_of(answer) is not None and not isinstance(answer, MirrorMeta):
            after = self.state_of(answer)
        believed = (
            type(target) in self._classes
            and name not in operators.DIFFERENCES
            and type(answer) is not bool
            and operators.telling_parts(answer).isdisjoint(operators.telling_parts(other))
        )
        if not believed and not operators.follows(name, before, other, after):
            self.doubt(f"The candidate's own {_symbol(name)} was shown plain data of the test.")
        return answer

    def same_object(self, target: Any) -> None:  # noqa: D102
        self.same.append((self.number(target), len(self.log)))

    def identical_object(self, value: Any) -> None:
        """Notice that a test has found a value to be the same object as another one."""
        number = self.number_of(value)
        if number is not None and self.log.is_member(number):
            self.same.append((number, len(self.log)))


def _always(_: Any) -> bool:
    return True


def _symbol(name: str) -> str:
    return {"__eq__": "==", "__ne__": "!=", "__contains__": "in"}.get(name, name)

"""Peer of a judge's process: it keeps what a pass must not rest on."""

from __future__ import annotations

import asyncio
import dis
import sys
import types
import unittest
from collections.abc import Callable
from typing import Any, NoReturn

from testbudget.executors.execution.languages.python.interpreter import MODULE
from testbudget.executors.execution.languages.python.objects import access, operators, tables
from testbudget.executors.execution.languages.python.objects.contents import NotCarriedError
from testbudget.executors.execution.languages.python.objects.decoding import MALFORMED
from testbudget.executors.execution.languages.python.objects.mirrors import MirrorMeta, MirrorOptions
from testbudget.executors.execution.languages.python.objects.names import CANDIDATE_MODULE, JudgeNames
from testbudget.executors.execution.languages.python.objects.peer import Peer, special_call
from testbudget.executors.execution.languages.python.objects.scripts import LoggedRequest, RequestLog
from testbudget.executors.execution.languages.python.objects.settings import JudgeSettings
from testbudget.executors.execution.languages.python.objects.wire import BrokenPairError, Pipe
from testbudget.executors.execution.languages.python.reasons import shown
from testbudget.rewards.problem import Verdict

_COUNTED = frozenset({"call", "meth", "sp", "get", "lib", "class"})
_LOGGED = _COUNTED | {"set", "del", "await", "load"}
_NOT_CLASS_ITEMS = frozenset(
    {"__module__", "__qualname__", "__dict__", "__weakref__", "__firstlineno__", "__static_attributes__"}
)


class JudgePeer(Peer):
    """Peer of a judge.

    Attributes:
        doubts: sentences; a pass with one is not confirmed.
        losses: sentences; no verdict of a test with one is certain.
        equal: pairs of numbers of objects that were equal by their own operator, with the position in the log.
        same: numbers of objects that were equal to themselves, with the position in the log.
        log: requests made.

    Args:
        pipe: the connection.
        names: names of the candidate and of the test.
        end: function that ends this process with a verdict and a sentence.
    """

    def __init__(self, pipe: Pipe, names: JudgeNames, end: Callable[[Verdict, str], NoReturn]) -> None:
        super().__init__(pipe)
        self.doubts: dict[str, None] = {}
        self.losses: dict[str, None] = {}
        self.equal: list[tuple[int, int, int]] = []
        self.same: list[tuple[int, int]] = []
        self.log = RequestLog()
        self.used = 0
        self._names = names
        self._end = end
        self._serial = 0
        self._settings: JudgeSettings | None = None
        self._entry: LoggedRequest | None = None
        self._shown: set[Any] = set()
        self._written: set[tuple[int, str]] = set()
        self._comparing = False
        self._told_of_lifetimes = False
        self._library: dict[str, Any] = {}

    def doubt(self, sentence: str) -> None:
        """Note why a pass is not confirmed."""
        self.doubts.setdefault(sentence)

    def lose(self, sentence: str) -> None:
        """Note why no verdict is certain."""
        self.losses.setdefault(sentence)

    def load(self) -> Any:
        """Load the names of the candidate; its message if it could not be loaded."""
        loaded = self.request(["load"])
        if type(loaded) is list:
            return loaded
        try:
            described, reads = loaded
            self._names.load(described, reads)
        except (TypeError, ValueError) as error:
            self.broken(error)
        self.watches_lifetimes = self._names.concerns_lifetimes()
        return None

    def watch(self, settings: JudgeSettings) -> None:
        """Carry the settings of the test from now on."""
        self._settings = settings

    # Contract of a peer

    def new_number(self) -> int:  # noqa: D102
        self._serial += 1
        return self._serial * 2

    def pieces(self) -> list[Any]:  # noqa: D102
        if self._settings is None:
            return []
        pieces = [*self._settings.pieces(), *self._names.pieces(self.encode)]
        if self.watches_lifetimes and not self._told_of_lifetimes:
            self._told_of_lifetimes = True
            pieces.append(["lifetimes"])
        return pieces

    def apply_piece(self, piece: Any) -> None:  # noqa: D102
        if self._comparing:
            self.doubt("A comparison by the candidate's own operator changed something.")
        if type(piece) is list and piece[:1] == ["global"]:
            self._rebind(piece)
        elif self._settings is not None:
            self._settings.apply(piece)

    def _rebind(self, piece: list[Any]) -> None:
        try:
            _, name, part = piece
            self._names.rebound(name, self.decode_piece(part))
        except MALFORMED as error:
            self.broken(error)

    def decode_piece(self, part: Any) -> Any:
        """Value of a part of a piece; one that means nothing ends the pair."""
        self.is_decoding = True
        try:
            return self.decode(part)
        except MALFORMED as error:
            self.broken(error)
        finally:
            self.is_decoding = False

    def broken(self, error: BaseException) -> NoReturn:  # noqa: D102
        if isinstance(error, BrokenPairError) and error.ended:
            self._end(Verdict.KILLED, "The candidate's process ended during the test.")
        self._end(Verdict.ERRORED, "The candidate's process wrote what means nothing to the judge.")

    def not_carried(self, reason: str) -> NoReturn:  # noqa: D102
        self._end(
            Verdict.UNCONFIRMED, f"What the test and the candidate exchange cannot be carried: {reason}."
        )

    def hash_of(self, value: Any) -> int | None:  # noqa: D102
        return None

    def encode_module(self, module: types.ModuleType) -> Any:  # noqa: D102
        if module is self._names.solution:
            return ["p", CANDIDATE_MODULE]
        if sys.modules.get(module.__name__) is module and module.__spec__ is not None:
            return ["m", module.__name__]
        return super().encode_module(module)

    def encode_object(self, value: Any) -> Any:
        """JSON part for an object of the test; what the library defines crosses by its name."""
        parts = access.parts_of(value)
        if parts is not None:
            return ["mk", *map(self.encode, parts)]
        key = access.library_name(value)
        if key is None:
            return super().encode_object(value)
        self._library[key] = value
        return ["L", key]

    def library_member(self, key: str) -> Any:
        """Member of the library that the test has handed over."""
        return self._library[key]

    def context_of(self, error: BaseException) -> BaseException | None:  # noqa: D102
        return None

    def mirror_options(self, described: dict[str, Any]) -> MirrorOptions:  # noqa: D102
        return MirrorOptions(described["n"] not in self._names.used, MODULE, has_init=True)

    def note_array(self, value: Any) -> None:  # noqa: D102
        if not value.size:
            self.doubt("The candidate gave an empty array, which agrees with any array.")

    def note_class_value(self, kind: type) -> None:  # noqa: D102
        if kind in tables.BROAD_EXCEPTIONS:
            self.doubt(f"The candidate gave {kind.__name__} to the test, which catches failed assertions.")

    def note_sent(self, body: list[Any], text: bytes) -> None:  # noqa: D102
        if self.depth:
            return
        self._entry = self.log.begin(text if body[0] in _LOGGED else None)
        self.used += body[0] in _COUNTED

    def _read_answer(self, message: list[Any], leaves: Any) -> Any:
        if not self.depth and self._entry is not None:
            self._entry.answer = message[0]
        if self._comparing and len(message) > 1:
            self.doubt("A comparison by the candidate's own operator changed something.")
        value = super()._read_answer(message, leaves)
        if self._shown:
            self._check_learned(value)
        return value

    def _check_learned(self, value: Any) -> None:
        if not self._shown.isdisjoint(_leaves(value)):
            self.doubt("The candidate gave a value that its own operator was shown before.")

    def call(self, target: Any, arguments: Any, keywords: Any) -> Any:  # noqa: D102
        position = len(self.log)
        value = super().call(target, arguments, keywords)
        if not self.depth and (number := self.number_of(value)) is not None:
            self.log.note_made(number, position)
        return value

    def call_method(self, target: Any, name: str, arguments: Any, keywords: Any) -> Any:  # noqa: D102
        value = super().call_method(target, name, arguments, keywords)
        if name in operators.QUERIES and len(arguments) == 1 and value and value != -1:
            self._check_query(target, name, arguments[0], value)
        return value

    def _check_query(self, target: Any, name: str, argument: Any, value: Any) -> None:
        if type(target).__name__ in self._names.used or not operators.is_plain(argument):
            return
        base = tables.plain_base(type(target))
        if base is None or operators.content_call(target, base, name, argument) != value:
            self.doubt(f"The candidate's own {name} agreed with plain data of the test.")

    def raise_received(self, error: BaseException, body: list[Any]) -> NoReturn:
        """Raise an exception of the candidate's, and doubt those that end loops of the test unseen."""
        is_next = body[0] == "sp" and body[2] in {"__next__", "__anext__"}
        if isinstance(error, StopIteration | StopAsyncIteration) and not is_next:
            if type(error).__name__ not in self._names.used:
                self.doubt(f"The candidate raised {type(error).__name__} out of a call.")
        try:
            raise error
        finally:
            del error

    def note_raised(self, error: BaseException) -> None:  # noqa: D102
        if isinstance(error, access.RefusedError):
            self.lose(f"The candidate asked for something of the test's that it does not get: {error}.")
        elif isinstance(error, AssertionError) and self.number_of(error) is None:
            self.doubt(f"An assertion of the test failed within the candidate: {shown(error.args)}.")

    # What the test does with proxies

    def call_special(self, target: Any, name: str, arguments: Any) -> Any:  # noqa: D102
        if name == "__contains__":
            if self.number_of(arguments[0]) is not None:
                return self._ask(name, target, arguments[0])
            return self._ask_own(name, target, arguments[0], affirms=bool)
        if name in {"__exit__", "__aexit__"} and len(arguments) == 3:
            return self._leave(target, name, arguments)
        if name in tables.ARITHMETIC and len(arguments) == 1 and operators.is_plain(arguments[0]):
            return self._calculate(target, name, arguments[0])
        return super().call_special(target, name, arguments)

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
        if error is not None and swallowed and _skips(trace):
            self.doubt(
                "A context of the candidate swallowed an exception before the test was done with it."
            )
        return swallowed

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

    def _ask_own(self, name: str, target: Any, other: Any, affirms: Callable[[Any], bool]) -> Any:
        """Ask the candidate's own operator about plain data, after the plain data behind it."""
        plain = operators.is_plain(other)
        content = operators.content_answer(name, target, other)
        state = self._state(target) if plain and content is None else None
        answer = self._ask(name, target, other)
        if answer is NotImplemented:
            return answer
        agrees = plain and (content is answer or operators.agrees(name, state, other, answer))
        if affirms(answer):
            if not agrees:
                self.doubt(f"The candidate's own {_symbol(name)} agreed with plain data of the test.")
        else:
            agrees = False
        if not agrees:
            known = self.log.plain_values() if type(other) in tables.SCALARS else set()
            self._shown |= _leaves(other) - known
        return answer

    def _ask(self, name: str, target: Any, other: Any) -> Any:
        """Ask the candidate's own operator, with copies of containers."""
        outer = self.by_value, self._comparing
        self.by_value = self._comparing = True
        try:
            parts = self.parts((other,))
            self.by_value = outer[0]
            answer = self.request(["cmp", self.number(target), name, *parts])
        finally:
            self.by_value, self._comparing = outer
        if type(answer) is not bool and answer is not NotImplemented:
            self.doubt(f"The candidate's own {_symbol(name)} gave no truth value.")
        return answer

    def _state(self, target: Any) -> Any:
        outer, self.by_value = self.by_value, True
        try:
            return self.request(["state", self.number(target)])
        finally:
            self.by_value = outer

    def _calculate(self, target: Any, name: str, other: Any) -> Any:
        content = tables.plain_base(type(target))
        before = None if content is not None else self._state(target)
        answer = super().call_special(target, name, (other,))
        if answer is NotImplemented:
            return answer
        after = answer
        if self.number_of(answer) is not None and not isinstance(answer, MirrorMeta):
            after = self._state(answer)
        named = type(target).__name__ in self._names.used and name not in operators.DIFFERENCES
        if not named and not operators.follows(name, before, other, after):
            self.doubt(f"The candidate's own {_symbol(name)} was shown plain data of the test.")
        return answer

    def same_object(self, target: Any) -> None:  # noqa: D102
        self.same.append((self.number(target), len(self.log)))

    def library_call(self, name: str, arguments: Any, keywords: dict[str, Any]) -> Any:
        """Have a function of the library called in the candidate's process."""
        parts = self.parts(arguments)
        return self.request(["lib", name, self.keyword_parts(keywords) if keywords else None, *parts])

    def new_subclass(self, name: str, bases: Any, namespace: Any, keywords: Any) -> Any:
        """Make a class of the test that derives from one of the candidate, over there."""
        cell = namespace.pop("__classcell__", None)
        items = tuple(
            (key, *_class_item(value)) for key, value in namespace.items() if key not in _NOT_CLASS_ITEMS
        )
        made = self.request(["class", *self.parts((name, tuple(bases), items, tuple(keywords.items())))])
        if not isinstance(made, MirrorMeta):
            self.broken(ValueError("no class"))
        if cell is not None:
            cell.cell_contents = made
        self.subclasses.add(made)
        for key, value in namespace.items():
            if isinstance(value, types.FunctionType):
                type.__setattr__(made, key, value)
        return made

    # What the candidate asks for

    def serve(self, message: list[Any]) -> tuple[Any, Any]:  # noqa: D102
        if self._entry is not None:
            self._entry.called_back = True
        if self._comparing:
            self.doubt("The candidate's own operator called the test back during a comparison.")
        operation = _OPERATIONS.get(message[0][0])
        if operation is None:
            raise BrokenPairError("no request")
        return operation(self, message)

    def _target(self, message: list[Any]) -> Any:
        try:
            return self.mine[message[0][1]]
        except (LookupError, TypeError):
            raise BrokenPairError("no object of the test") from None

    def serve_call(self, message: list[Any]) -> tuple[Any, Any]:
        """Call an object of the test."""
        target = self._target(message)
        arguments, keywords = self._arguments(message, 2)
        access.check_call(target)
        return target(*arguments, **keywords), ()

    def serve_method(self, message: list[Any]) -> tuple[Any, Any]:
        """Call a method of an object of the test."""
        target, name = self._target(message), self._name(message)
        arguments, keywords = self._arguments(message, 3)
        access.check_read(target, name)
        method = getattr(target, name)
        access.check_call(method)
        return method(*arguments, **keywords), ()

    def serve_get(self, message: list[Any]) -> tuple[Any, Any]:
        """Read an attribute of an object of the test."""
        target, name = self._target(message), self._name(message)
        self.read_request(message, 3)
        if (id(target), name) not in self._written:
            access.check_read(target, name)
        return getattr(target, name), ()

    def serve_set(self, message: list[Any]) -> tuple[Any, Any]:
        """Set an attribute of an object of the test."""
        target, name = self._target(message), self._name(message)
        (value,) = self._values(message, 3, 1)
        self._check_write(target, name)
        setattr(target, name, value)
        return None, ()

    def _check_write(self, target: Any, name: str) -> None:
        """Check a write; a private name that the class does not know is the candidate's own."""
        own = (
            name[:1] == "_"
            and name[:2] != "__"
            and type(target).__module__ in access.OWN_MODULES
            and not isinstance(target, type)
        )
        if own and ((id(target), name) in self._written or not hasattr(target, name)):
            self._written.add((id(target), name))
            self.mine.setdefault(-id(target), target)  # keeps its id
        else:
            access.check_write(target, name)

    def serve_delete(self, message: list[Any]) -> tuple[Any, Any]:
        """Delete an attribute of an object of the test."""
        target, name = self._target(message), self._name(message)
        self.read_request(message, 3)
        self._check_write(target, name)
        delattr(target, name)
        return None, ()

    def _items(self, message: list[Any]) -> tuple[dict[str, Any], str]:
        """``__dict__`` of an object of the test and a name in it that is the candidate's own.

        It is if the class of the object has a descriptor of the candidate under this name, or if the
        name is private and new.
        """
        target, name = self._target(message), self._name(message)
        kind = type(target)
        descriptor = next((vars(one)[name] for one in kind.__mro__ if name in vars(one)), None)
        if kind.__module__ not in access.OWN_MODULES or isinstance(target, unittest.TestCase | type):
            raise access.RefusedError("__dict__")
        if self.number_of(descriptor) is None:
            self._check_write(target, name)
        return object.__getattribute__(target, "__dict__"), name

    def serve_read(self, message: list[Any]) -> tuple[Any, Any]:
        """Read an item of the ``__dict__`` of an object of the test."""
        items, name = self._items(message)
        self.read_request(message, 3)
        return items[name], ()

    def serve_write(self, message: list[Any]) -> tuple[Any, Any]:
        """Set an item of the ``__dict__`` of an object of the test."""
        items, name = self._items(message)
        (items[name],) = self._values(message, 3, 1)
        return None, ()

    def serve_pop(self, message: list[Any]) -> tuple[Any, Any]:
        """Delete an item of the ``__dict__`` of an object of the test."""
        items, name = self._items(message)
        return items.pop(name, *self.read_request(message, 3)), ()

    def serve_special(self, message: list[Any]) -> tuple[Any, Any]:
        """Call a special method of an object of the test."""
        target, name = self._target(message), self._name(message)
        arguments = self.read_request(message, 3)
        access.check_special(target, name)
        return special_call(target, name, arguments), ()

    def serve_input(self, message: list[Any]) -> tuple[Any, Any]:
        """Read from the test's standard input."""
        request = self._name([[None, *message[0]]])
        arguments = self.read_request(message, 2)
        if self._settings is None:
            raise BrokenPairError("no settings yet")
        return self._settings.answer(request, arguments), ()

    def serve_await(self, message: list[Any]) -> tuple[Any, Any]:
        """Run a coroutine of the test to its end."""
        target = self._target(message)
        self.read_request(message, 2)
        if not isinstance(target, types.CoroutineType):
            raise BrokenPairError("no coroutine")
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return asyncio.run(target), ()
        raise NotCarriedError("a coroutine of the test inside of an event loop")

    def _name(self, message: list[Any]) -> str:
        body = message[0]
        if len(body) < 3 or type(body[2]) is not str:
            raise BrokenPairError("no name")
        return body[2]

    def _values(self, message: list[Any], first: int, count: int) -> list[Any]:
        values = self.read_request(message, first)
        if len(values) != count:
            raise BrokenPairError("another number of values")
        return values

    def _arguments(self, message: list[Any], first: int) -> tuple[list[Any], dict[str, Any]]:
        values = self.read_request(message, first)
        try:
            pairs, *arguments = values
            keywords = dict(pairs or ())
        except (TypeError, ValueError):
            raise BrokenPairError("no arguments") from None
        if not all(type(name) is str for name in keywords):
            raise BrokenPairError("no keywords")
        if self._shown:
            self._check_learned(values)
        return arguments, keywords


_OPERATIONS = {
    "call": JudgePeer.serve_call,
    "meth": JudgePeer.serve_method,
    "get": JudgePeer.serve_get,
    "set": JudgePeer.serve_set,
    "del": JudgePeer.serve_delete,
    "read": JudgePeer.serve_read,
    "write": JudgePeer.serve_write,
    "pop": JudgePeer.serve_pop,
    "sp": JudgePeer.serve_special,
    "await": JudgePeer.serve_await,
    "ask": JudgePeer.serve_input,
}


def _always(_: Any) -> bool:
    return True


def _symbol(name: str) -> str:
    return {"__eq__": "==", "__ne__": "!=", "__contains__": "in"}.get(name, name)


def _class_item(value: Any) -> tuple[str, Any]:
    match value:
        case types.FunctionType():
            return "function", value
        case classmethod():
            return "classmethod", value.__func__
        case staticmethod():
            return "staticmethod", value.__func__
        case property():
            return "property", (value.fget, value.fset, value.fdel)
    return "value", value


def _leaves(value: Any) -> set[Any]:
    """Plain values in a value that say something: no truth value, no None, no small number."""
    found: set[Any] = set()
    pending, seen = [value], set()
    while pending:
        one = pending.pop()
        kind = type(one)
        if kind in {int, float, str, bytes}:
            if one not in {0, 1, -1, ""}:
                found.add(one)
        elif kind in {list, tuple, set, frozenset, dict} and id(one) not in seen:
            seen.add(id(one))
            pending += [*one, *one.values()] if kind is dict else one
    return found


def _skips(trace: types.TracebackType | None) -> bool:
    """Return whether leaving a with-block at a traceback skips a call or an assertion in it."""
    if trace is None:
        return True
    code, last = trace.tb_frame.f_code, trace.tb_lasti
    entries: Any = dis._parse_exception_table(code)  # type: ignore[attr-defined]
    around = [entry for entry in entries if entry.start <= last < entry.end]
    targets = {entry.target for entry in around}
    ends = [entry.end for entry in entries if entry.target in targets]
    end = max(ends, default=last)
    return any(
        last < instruction.offset < end
        and (
            instruction.opname.startswith(("CALL", "LOAD_ASSERTION"))
            and "INTRINSIC" not in instruction.opname
        )
        for instruction in dis.get_instructions(code)
    )

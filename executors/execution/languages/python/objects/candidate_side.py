"""Process of a candidate that answers the requests of a judge process."""

# ruff: noqa: ARG002 - the methods have the parameters that the contract of a peer gives

from __future__ import annotations

import contextlib
import importlib
import os
import types
from typing import Any, NoReturn

from testbudget.executors.execution.languages.base import Connection, Program
from testbudget.executors.execution.languages.python.interpreter import LoadFailure, load_candidate
from testbudget.executors.execution.languages.python.objects import class_parts, library_functions, wire
from testbudget.executors.execution.languages.python.objects.contents import NotCarriedError
from testbudget.executors.execution.languages.python.objects.mirrors import MirrorOptions
from testbudget.executors.execution.languages.python.objects.names import CANDIDATE_MODULE, CandidateNames
from testbudget.executors.execution.languages.python.objects.peer import Peer
from testbudget.executors.execution.languages.python.objects.python_calls import leaves_of, special_call
from testbudget.executors.execution.languages.python.objects.settings import CandidateSettings
from testbudget.executors.execution.languages.python.objects.tables import ASYNC_METHODS
from testbudget.executors.execution.languages.python.objects.wire import BrokenPairError, Pipe
from testbudget.executors.execution.processes.result_buffer import ResultBuffer

_REQUEST_STEP = 1 << 20


def serve_objects(
    buffer: ResultBuffer, connection: Connection, candidate: Program, entry_point: str | None
) -> None:
    """Load a candidate and serve a judge, as described by `Language.serve_objects`."""
    serve_for_rehearsal(buffer, connection, candidate, entry_point)
    os._exit(0)


def serve_for_rehearsal(
    buffer: ResultBuffer, connection: Connection, candidate: Program, entry_point: str | None
) -> None:
    """Load a candidate and serve a judge until it hangs up, in a process that goes on."""
    buffer.begin(0)
    peer = CandidatePeer(Pipe(connection))
    loaded = peer.load(candidate, entry_point)
    if loaded is not None:
        buffer.mark_loaded()
    peer.serve_all(loaded)


class CandidatePeer(Peer):
    """Peer of a candidate's process.

    It numbers its objects by the request in which they first cross, so that a process that repeats some of
    the requests hands out the same numbers.
    """

    def __init__(self, pipe: Pipe) -> None:
        super().__init__(pipe)
        self._served = 0
        self._copies_result = False
        self._numbered = 0
        self._names: CandidateNames | None = None
        self._loop: Any = None
        self._settings: CandidateSettings | None = None
        self._library: dict[int, tuple[str, Any]] = {}
        self.failure: LoadFailure | None = None

    def load(self, candidate: Program, entry_point: str | None) -> types.ModuleType | None:
        """Load the candidate; None if that fails."""
        loaded = load_candidate(candidate.content, entry_point)
        if isinstance(loaded, LoadFailure):
            self.failure = loaded
            return None
        self._names = CandidateNames(loaded, candidate.content)
        self._settings = CandidateSettings(self.decode, self._ask, self.encode)
        return loaded

    def serve_all(self, module: types.ModuleType | None) -> None:
        """Serve requests until the judge hangs up."""
        if module is not None:
            self.mine[CANDIDATE_MODULE] = module
        self.lock.acquire()
        while (message := self._next_message()) is not None:
            self.begin_request()
            answer = self._answer_unlocked(message)
            self.send(answer)

    def begin_request(self) -> None:
        """Number what crosses from now on by the next request."""
        self._served += 1
        self._numbered = 0

    def _next_message(self) -> list[Any] | None:
        try:
            return self.pipe.receive()
        except BrokenPairError:
            return None

    def _answer_unlocked(self, message: list[Any]) -> list[Any]:
        """Answer a request while other threads of the candidate may ask the judge."""
        self.lock.release()
        try:
            return self._answer(message)
        finally:
            self.lock.acquire()

    def new_number(self) -> int:  # noqa: D102
        self._numbered += 1
        return (self._served * _REQUEST_STEP + self._numbered) * 2 + 1

    def pieces(self) -> list[Any]:  # noqa: D102
        pieces: list[Any] = []
        if self._settings is not None and self._names is not None:
            pieces = self._settings.pieces()
            pieces += [["global", name, self.encode(value)] for name, value in self._names.changed()]
        return pieces

    def apply_piece(self, piece: Any) -> None:  # noqa: D102
        if piece[0] == "lifetimes":
            self.watches_lifetimes = True
        elif piece[0] == "global":
            if self._names is not None:
                self._names.bind(piece[1], self.decode(piece[2]))
        elif self._settings is not None:
            self._settings.apply(piece)

    def broken(self, error: BaseException) -> NoReturn:  # noqa: D102
        os._exit(0)

    def not_carried(self, reason: str) -> NoReturn:  # noqa: D102
        raise NotCarriedError(reason)

    def mirror_options(self, described: dict[str, Any]) -> MirrorOptions:  # noqa: D102
        return MirrorOptions(content_only=False, module="__main__", has_init=False)

    def module_of(self, name: str) -> Any:  # noqa: D102
        return importlib.import_module(name)

    def library_member(self, key: str) -> Any:  # noqa: D102
        module, _, name = key.partition(":")
        value: Any = importlib.import_module(module)
        for part in name.split("."):
            value = getattr(value, part)
        self._library[id(value)] = key, value
        return value

    def library_object(self, kind: Any, arguments: Any, keywords: Any) -> Any:  # noqa: D102
        return kind(*arguments, **dict(keywords))

    def encode_object(self, value: Any) -> Any:
        """JSON part for an object; a member of the library that the test has handed over is that member."""
        known = self._library.get(id(value))
        return super().encode_object(value) if known is None else ["L", known[0]]

    def encode_module(self, module: types.ModuleType) -> Any:  # noqa: D102
        return ["sol"] if module is self.mine.get(CANDIDATE_MODULE) else super().encode_module(module)

    def text_of_loss(self, error: BaseException) -> bytes:  # noqa: D102
        reason = str(error) if isinstance(error, NotCarriedError) else "a value that is nested too deeply"
        return wire.text_of([["?", reason]])

    def hash_of(self, value: Any) -> int | None:  # noqa: D102
        try:
            return hash(value)
        except Exception:
            return None

    def _ask(self, name: str, *arguments: Any) -> Any:
        return self.request(["ask", name, *self.parts(arguments)])

    def attributes_of(self, target: Any) -> Any:
        """``__dict__`` of an object of the test, of which only single items can be had."""
        return RemoteAttributes(self, target)

    # Requests of the judge

    def serve(self, message: list[Any]) -> tuple[Any, Any]:  # noqa: D102
        return _OPERATIONS[message[0][0]](self, message)

    def serve_load(self, message: list[Any]) -> tuple[Any, Any]:
        """Names of the candidate with their values, or the failure to load it."""
        self.read_request(message, 1)
        if self.failure is not None:
            return self.failure.as_message(), ()
        assert self._names is not None
        return (self._names.first(), self._names.reads), ()

    def serve_call(self, message: list[Any]) -> tuple[Any, Any]:
        """Call an object."""
        target = self.mine[message[0][1]]
        keywords, *arguments = self.read_request(message, 2)
        leaves = leaves_of(arguments)
        return target(*arguments, **dict(keywords or ())), leaves

    def serve_method(self, message: list[Any]) -> tuple[Any, Any]:
        """Call a method of an object."""
        target, name = self.mine[message[0][1]], message[0][2]
        keywords, *arguments = self.read_request(message, 3)
        leaves = leaves_of(arguments)
        return getattr(target, name)(*arguments, **dict(keywords or ())), leaves

    def serve_get(self, message: list[Any]) -> tuple[Any, Any]:
        """Read an attribute of an object."""
        target, name = self.mine[message[0][1]], message[0][2]
        self.read_request(message, 3)
        return getattr(target, name), ()

    def serve_set(self, message: list[Any]) -> tuple[Any, Any]:
        """Set an attribute of an object."""
        target, name = self.mine[message[0][1]], message[0][2]
        (value,) = self.read_request(message, 3)
        setattr(target, name, value)
        return None, ()

    def serve_delete(self, message: list[Any]) -> tuple[Any, Any]:
        """Delete an attribute of an object."""
        target, name = self.mine[message[0][1]], message[0][2]
        self.read_request(message, 3)
        delattr(target, name)
        return None, ()

    def serve_special(self, message: list[Any]) -> tuple[Any, Any]:
        """Call a special method of an object."""
        target, name = self.mine[message[0][1]], message[0][2]
        arguments = self.read_request(message, 3)
        if name in ASYNC_METHODS:
            return self._run(getattr(type(target), name)(target, *arguments)), ()
        return special_call(target, name, arguments), ()

    def serve_await(self, message: list[Any]) -> tuple[Any, Any]:
        """Run an awaitable to its end."""
        target = self.mine[message[0][1]]
        self.read_request(message, 2)
        return self._run(target), ()

    def serve_library(self, message: list[Any]) -> tuple[Any, Any]:
        """Call a function of the library that the test calls with an object of the candidate."""
        keywords, *arguments = self.read_request(message, 2)
        function = library_functions.library_function(message[0][1])
        return function(*arguments, **dict(keywords or ())), ()

    def serve_comparison(self, message: list[Any]) -> tuple[Any, Any]:
        """Compare an object with a copy of a value of the test."""
        target, name = self.mine[message[0][1]], message[0][2]
        (other,) = self.read_request(message, 3)
        if name == "__contains__":
            return other in target, ()
        return getattr(type(target), name)(target, other), ()

    def serve_state(self, message: list[Any]) -> tuple[Any, Any]:
        """Attributes of an object, copied, past its operators."""
        target = self.mine[message[0][1]]
        self.read_request(message, 2)
        self._copies_result = True
        return class_parts.attributes(target), ()

    def encode_result(self, value: Any, leaves: Any = ()) -> Any:
        """JSON part for the value of an answer; a state crosses as a copy."""
        outer, self.by_value = self.by_value, self._copies_result
        self._copies_result = False
        try:
            return super().encode_result(value, leaves)
        finally:
            self.by_value = outer

    def serve_subclass(self, message: list[Any]) -> tuple[Any, Any]:
        """Make a class of the test that derives from one of the candidate."""
        name, bases, items, keywords = self.read_request(message, 1)
        namespace = {key: class_parts.class_item(how, value) for key, how, value in items}
        namespace["__module__"] = "solution"
        return types.new_class(name, bases, dict(keywords), lambda body: body.update(namespace)), ()

    def serve_nothing(self, message: list[Any]) -> tuple[Any, Any]:
        """Apply what the message brings."""
        self.read_request([[*message[0][:1]], *message[1:]], 1)
        return None, ()

    def _run(self, awaitable: Any) -> Any:
        if self._loop is None:
            import asyncio  # slow to load, and few candidates need it

            self._loop = asyncio.new_event_loop()

        async def run() -> Any:
            return await awaitable

        return self._loop.run_until_complete(run())


class RemoteAttributes:
    """Items of the ``__dict__`` of an object of the test that are the candidate's own."""

    def __init__(self, peer: CandidatePeer, target: Any) -> None:
        self._peer = peer
        self._number = peer.number(target)

    def __getitem__(self, name: str) -> Any:
        return self._peer.request(["read", self._number, name])

    def __setitem__(self, name: str, value: Any) -> None:
        self._peer.request(["write", self._number, name, *self._peer.parts((value,))])

    def keys(self) -> tuple[str, ...]:
        """No names: the candidate does not get them, and the judge notices that it asked."""
        with contextlib.suppress(AttributeError):
            self._peer.request(["get", self._number, "__dict__"])
        return ()

    values = items = keys

    def __iter__(self) -> Any:
        return iter(self.keys())

    def __len__(self) -> int:
        return len(self.keys())

    def __contains__(self, name: object) -> bool:
        return self.get(name, self) is not self

    def get(self, name: Any, default: Any = None) -> Any:
        """Item, or a default."""
        try:
            return self[name]
        except KeyError:
            return default

    def setdefault(self, name: str, default: Any = None) -> Any:
        """Item; it is set first if there is none."""
        if name not in self:
            self[name] = default
        return self[name]

    def pop(self, name: str, *default: Any) -> Any:
        """Item, deleted."""
        return self._peer.request(["pop", self._number, name, *self._peer.parts(default)])


_OPERATIONS = {
    "load": CandidatePeer.serve_load,
    "call": CandidatePeer.serve_call,
    "meth": CandidatePeer.serve_method,
    "get": CandidatePeer.serve_get,
    "set": CandidatePeer.serve_set,
    "del": CandidatePeer.serve_delete,
    "sp": CandidatePeer.serve_special,
    "await": CandidatePeer.serve_await,
    "lib": CandidatePeer.serve_library,
    "cmp": CandidatePeer.serve_comparison,
    "state": CandidatePeer.serve_state,
    "class": CandidatePeer.serve_subclass,
    "nop": CandidatePeer.serve_nothing,
}

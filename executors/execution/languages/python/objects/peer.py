"""One of two processes that hold proxies of each other's objects: requests, answers, and changes in place.

Messages alternate strictly. While a process waits for its answer, it serves the requests of the other one,
so calls nest. A message is ``[body, changes, pieces, dropped]``, without empty items at its end:

- a *body* is a request ``[operation, ...]`` or an answer: ``["=", value]``, ``["!", exception]``, or
  ``["?", reason]`` for a value that cannot cross;
- *changes* are ``[number, content]`` of shared containers;
- *pieces* are changes of settings, printed text and names;
- *dropped* numbers are containers that this process holds no longer.
"""

# ruff: noqa: ARG002 - the methods have the parameters that the contract gives

from __future__ import annotations

import threading
from typing import Any, NoReturn

from testbudget.executors.execution.languages.python.objects import wire
from testbudget.executors.execution.languages.python.objects.contents import NotCarriedError, clear
from testbudget.executors.execution.languages.python.objects.decoding import Decoder
from testbudget.executors.execution.languages.python.objects.method_stubs import METHOD_PARTS
from testbudget.executors.execution.languages.python.objects.proxy_peer import install
from testbudget.executors.execution.languages.python.objects.python_calls import leaves_of
from testbudget.executors.execution.languages.python.objects.wire import BrokenPairError, Headroom, Pipe

_TOO_DEEP = "a value that is nested too deeply"
_LIFETIMES = ("weak", "strong", "gone")
_ANSWERS = frozenset({"=", "!", "?"})


class Peer(Decoder):
    """Base of both peers.

    Attributes:
        requests: number of requests sent.
        patience: seconds that a thread waits while another one makes a request; -1 for any time.
    """

    patience: float = -1

    def __init__(self, pipe: Pipe) -> None:
        super().__init__()
        self.pipe = pipe
        self.requests = 0
        self.lock = threading.RLock()
        self.depth = 0
        self.subclasses: set[Any] = set()
        install(self)

    # For the two kinds of peers

    def pieces(self) -> list[Any]:
        """Pieces for the next message."""
        raise NotImplementedError

    def apply_piece(self, piece: Any) -> None:
        """Apply a piece of the other process."""
        raise NotImplementedError

    def serve(self, message: list[Any]) -> tuple[Any, Any]:
        """Do what a request asks for.

        Returns:
            Value of the answer, and the arguments of which it may be one.
        """
        raise NotImplementedError

    def broken(self, error: BaseException) -> NoReturn:
        """End this process: the other one has ended, or has written what means nothing."""
        raise NotImplementedError

    def not_carried(self, reason: str) -> NoReturn:
        """End this process, or raise: a value cannot cross."""
        raise NotImplementedError

    def raise_received(self, error: BaseException, body: list[Any]) -> NoReturn:
        """Raise the exception that a request has raised over there."""
        try:
            raise error
        finally:
            del error

    def note_raised(self, error: BaseException) -> None:
        """Notice an exception that goes to the other process."""

    # Requests

    def request(self, body: list[Any], leaves: Any = ()) -> Any:
        """Send a request whose values are encoded, and return the value of its answer.

        Args:
            body: the request.
            leaves: arguments of the call, of which the answer may be one.
        """
        if self.is_decoding:
            raise ValueError("decoding asks nothing")
        if not self.lock.acquire(timeout=self.patience):
            self.not_carried("calls of several threads at once")
        try:
            try:
                self.send(body)
                while True:
                    message = self.pipe.receive()
                    answer = message[0]
                    if answer[0] in _ANSWERS:
                        break
                    self.serve_message(message)
            except BrokenPairError as error:
                self.broken(error)
            value = self._read_answer(message, leaves)
        finally:
            self.lock.release()
        if answer[0] == "!":
            self.raise_received(value, body)
        return value

    def _read_answer(self, message: list[Any], leaves: Any) -> Any:
        self.is_decoding = True
        outer, self.leaves = self.leaves, leaves_of(leaves)
        try:
            with Headroom():
                kind, part = message[0]
                value = None if kind == "?" else self.decode(part)
                if kind == "!" and not isinstance(value, BaseException):
                    raise ValueError("no exception")
                rest = self.apply_rest(message)
        except Exception as error:
            self.broken(error)
        finally:
            self.is_decoding = False
            self.leaves = outer
        self.apply_pieces(rest)
        if kind == "?":
            self.not_carried(part if type(part) is str else "a value")
        return value

    def send(self, body: list[Any]) -> None:
        """Send a body with everything that has changed since the last message."""
        self.requests += 1
        try:
            pieces = self.pieces()
            if self.watches_lifetimes:
                pieces += self.lifetimes()
            with Headroom():
                text = wire.text_of(self.with_rest(body, pieces))
        except (NotCarriedError, RecursionError) as error:
            text = self.text_of_loss(error)
        self.note_sent(body, text)
        self.pipe.send(text)

    def text_of_loss(self, error: BaseException) -> bytes:
        """Text of the message in place of one that holds what cannot cross."""
        self.not_carried(str(error) or _TOO_DEEP)

    def note_sent(self, body: list[Any], text: bytes) -> None:
        """Notice a message that is sent."""

    def with_rest(self, body: list[Any], pieces: list[Any]) -> list[Any]:
        """Message of a body, with changes, pieces and dropped numbers."""
        changes: list[Any] = []
        if self.shared:
            changes = [
                [number, self.encode_items(entry.value, entry.tag)] for number, entry in self.changed()
            ]
        dropped: list[int] = []
        if self.shared:
            dropped = self.sweep()
            self.take_snapshots()
        if dropped:
            return [body, changes, pieces, dropped]
        if pieces:
            return [body, changes, pieces]
        return [body, changes] if changes else [body]

    def apply_rest(self, message: list[Any]) -> list[Any]:
        """Apply the changes of a message, forget what the other process dropped, and return its pieces."""
        for number, content in message[1] if len(message) > 1 else ():
            entry = self.shared.get(number)
            if entry is None:
                self.unknown_container(number)
                continue
            clear(entry.value, entry.tag)
            self.fill(entry.value, entry.tag, content)
            entry.before = None
        for number in message[3] if len(message) > 3 else ():
            self.unshare(number)
        self.take_snapshots()
        pieces = message[2] if len(message) > 2 else []
        if type(pieces) is not list:
            raise ValueError("no pieces")
        return pieces

    def apply_pieces(self, pieces: list[Any]) -> None:
        """Apply pieces; one that means nothing ends the pair."""
        for piece in pieces:
            try:
                if type(piece) is list and len(piece) == 2 and piece[0] in _LIFETIMES:
                    self.apply_lifetimes(*piece)
                else:
                    self.apply_piece(piece)
            except BrokenPairError as error:
                self.broken(error)
            except (LookupError, TypeError) as error:
                if type(piece) is list and piece[0] in _LIFETIMES:
                    self.broken(error)
                raise
        if pieces:
            self.take_snapshots()

    def unknown_container(self, number: Any) -> None:
        """Meet a change of a container that is not shared."""
        raise ValueError("this container is not shared")

    # Answers

    def serve_message(self, message: list[Any]) -> None:
        """Serve a request of the other process and send the answer."""
        self.depth += 1
        try:
            self.send(self._answer(message))
        finally:
            self.depth -= 1

    def _answer(self, message: list[Any]) -> list[Any]:
        try:
            return ["=", self.encode_result(*self.serve(message))]
        except BrokenPairError as error:
            self.broken(error)
        except NotCarriedError as error:
            return ["?", str(error)]
        except BaseException as error:
            self.note_raised(error)
            error.__traceback__ = None
            return self._answer_raised(error)

    def _answer_raised(self, error: BaseException) -> list[Any]:
        try:
            return ["!", self.encode_result(error)]
        except NotCarriedError as lost:
            return ["?", str(lost)]

    def encode_result(self, value: Any, leaves: Any = ()) -> Any:
        """JSON part for the value of an answer, which may be one of the immutable arguments."""
        self.leaf_ids = {id(leaf): place for place, leaf in enumerate(leaves)}
        try:
            with Headroom():
                return self.encode(value)
        except RecursionError:
            raise NotCarriedError(_TOO_DEEP) from None
        finally:
            self.leaf_ids = {}

    def read_request(self, message: list[Any], first: int) -> list[Any]:
        """Decode the values of a request from an item on, and apply the rest of its message."""
        self.is_decoding = True
        try:
            with Headroom():
                values = [self.decode(part) for part in message[0][first:]]
                rest = self.apply_rest(message)
        except Exception as error:
            self.broken(error)
        finally:
            self.is_decoding = False
        self.apply_pieces(rest)
        return values

    # What proxies ask

    def parts(self, values: Any) -> list[Any]:
        """JSON parts for arguments."""
        try:
            with Headroom():
                return [self.encode(value) for value in values]
        except NotCarriedError as error:
            self.not_carried(str(error))
        except RecursionError:
            self.not_carried(_TOO_DEEP)

    def keyword_parts(self, keywords: dict[str, Any]) -> list[Any]:
        """JSON part for keyword arguments: a tuple of pairs."""
        return ["t", [["t", [name, *self.parts((value,))]] for name, value in keywords.items()]]

    def number_of(self, proxy: object) -> int | None:
        """Number of the other process's object behind a proxy or a part of a mirror; else None."""
        if type(proxy) in METHOD_PARTS:
            proxy = proxy.resolve()  # type: ignore[attr-defined]
        return super().number_of(proxy)

    def number(self, proxy: Any) -> int:
        """Number of the object behind a proxy."""
        number = self.number_of(proxy)
        if number is None:
            raise AttributeError("this object belongs to no other process")
        return number

    def get_attribute(self, target: Any, name: str) -> Any:
        """Attribute of the object behind a proxy."""
        number = self.number_of(target)
        if number is None:
            raise AttributeError(name)
        return self.request(["get", number, name])

    def set_attribute(self, target: Any, name: str, value: Any) -> None:
        """Set an attribute of the object behind a proxy."""
        self.request(["set", self.number(target), name, *self.parts((value,))])

    def delete_attribute(self, target: Any, name: str) -> None:
        """Delete an attribute of the object behind a proxy."""
        self.request(["del", self.number(target), name])

    def call(self, target: Any, arguments: Any, keywords: Any) -> Any:
        """Call the object behind a proxy."""
        body = ["call", self.number(target), *self._call_parts(arguments, keywords)]
        return self.request(body, arguments)

    def call_method(self, target: Any, name: str, arguments: Any, keywords: Any) -> Any:
        """Call a method of the object behind a proxy."""
        body = ["meth", self.number(target), name, *self._call_parts(arguments, keywords)]
        return self.request(body, arguments)

    def _call_parts(self, arguments: Any, keywords: Any) -> list[Any]:
        parts = self.parts(arguments)
        return [self.keyword_parts(keywords) if keywords else None, *parts]

    def call_special(self, target: Any, name: str, arguments: Any) -> Any:
        """Call a special method of the object behind a proxy."""
        return self.request(["sp", self.number(target), name, *self.parts(arguments)])

    def coroutine(self, number: int) -> Any:
        """Coroutine that runs one of the other process to its end."""
        if type(number) is not int:
            raise ValueError("no number")

        async def run() -> Any:
            return self.request(["await", number])

        return run()

    def awaited(self, target: Any) -> Any:
        """Coroutine that awaits the object behind a proxy."""
        return self.coroutine(self.number(target))

    def compare(self, name: str, target: Any, other: Any) -> Any:
        """Compare the object behind a proxy with another one."""
        return self.call_special(target, name, (other,))

    def hash_proxy(self, target: Any) -> int:
        """Hash of the object behind a proxy, asked once."""
        known = self.hashes.get(id(target))
        if known is None:
            if self.is_decoding:
                return object.__hash__(target)
            found = self.call_special(target, "__hash__", ())
            if type(found) is not int:
                raise TypeError("__hash__ method should return an integer")
            known = self.hashes[id(target)] = found
        return known

    def same_object(self, target: Any) -> None:
        """Notice that an object without an equality of its own was compared with itself."""

    def note_equal_contents(self, one: Any, other: Any) -> None:
        """Notice that the contents of two instances of subclasses of plain data are equal."""

    def note_operator(self, name: str, arguments: Any, answer: Any) -> None:
        """Notice an operator that a subclass of this process has called past its own."""

    def attributes_of(self, target: Any) -> Any:
        """``__dict__`` of the object behind a proxy."""
        return self.get_attribute(target, "__dict__")

    def is_instance(self, target: Any, mirror: Any) -> bool:
        """Answer ``isinstance`` where the class of the class overrides it."""
        return bool(self.call_special(mirror, "__instancecheck__", (target,)))

    def is_subclass_of_mirror(self, owner: Any, kind: Any) -> bool:
        """Return whether a class of this process derives from a mirror that is not the class itself."""
        return owner is not kind and kind in self.subclasses

    def text_of_exception(self, error: BaseException) -> str:
        """Text of an exception of the other process."""
        return self.texts.get(id(error), "")

    def library_call(self, name: str, arguments: Any, keywords: dict[str, Any]) -> Any:
        """Have a function of the library called in the other process."""
        raise TypeError(f"{name} cannot be called for an object of another process")

    def new_subclass(self, name: str, bases: Any, namespace: Any, keywords: Any) -> Any:
        """Make a class of this process that derives from a class of the other one."""
        raise TypeError(f"{name} cannot derive from a class of another process")

    def encode(self, value: Any) -> Any:
        """JSON part for a value; parts of mirrors cross as the methods that they stand for."""
        if type(value) in METHOD_PARTS:
            value = value.resolve()
        return super().encode(value)

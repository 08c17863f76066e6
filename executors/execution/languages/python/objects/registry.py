"""Numbers of the objects and containers that two processes know of each other."""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable
from typing import Any

from testbudget.executors.execution.languages.python.objects.contents import is_unchanged, snapshot


class SharedContainer:
    """Container that both processes hold, with its content at the time of the last message.

    Attributes:
        value: the container.
        tag: its tag.
        before: its snapshot; None until its first message is complete.
        node: its part of the message that is being written, whose second item is its number; else None.
    """

    __slots__ = ("before", "node", "tag", "value")

    def __init__(self, value: Any, tag: str, node: list[Any] | None = None) -> None:
        self.value = value
        self.tag = tag
        self.before: Any = None
        self.node = node


class Registry:
    """Tables of one process.

    Objects of this process have a number once the other one has heard of them; the other one holds proxies.
    A container that crosses by value is *shared* while both processes hold it: it has one number on both
    sides, and its changes travel with the next message.

    Attributes:
        mine: objects of this process by number.
        theirs: proxies by number.
        shared: shared containers by number.
        watches_lifetimes: True if the end of an object here must show in the other process.
    """

    def __init__(self) -> None:
        self.mine: dict[int, Any] = {}
        self.theirs: dict[int, Any] = {}
        self.shared: dict[int, SharedContainer] = {}
        self._mine_ids: dict[int, int] = {}
        self._their_ids: dict[int, int] = {}
        self._shared_ids: dict[int, int] = {}
        self.watches_lifetimes = False
        self._weakened: set[int] = set()
        self._gone: list[int] = []

    def new_number(self) -> int:
        """Return a number that this process has not used yet."""
        raise NotImplementedError

    def number_of(self, proxy: object) -> int | None:
        """Number of the other process's object behind a proxy; None for anything else."""
        return self._their_ids.get(id(proxy))

    def export(self, value: object) -> int:
        """Give a number to an object of this process."""
        number = self.new_number()
        self.mine[number] = value
        self._mine_ids[id(value)] = number
        return number

    def exported(self, value: object) -> int | None:
        """Number of an object of this process; None if it has none."""
        return self._mine_ids.get(id(value))

    def import_proxy(self, number: int, proxy: object) -> None:
        """Remember the proxy for an object of the other process."""
        if number in self._gone:
            self._gone.remove(number)
        self.theirs[number] = proxy
        self._their_ids[id(proxy)] = number

    def proxy_of(self, number: int) -> Any:
        """Proxy for an object of the other process; None if there is none, or no longer."""
        proxy = self.theirs.get(number)
        return proxy() if type(proxy) is weakref.ref else proxy

    def lifetimes(self) -> list[list[Any]]:
        """Pieces on the objects here that only the table refers to, or no longer, and on proxies that
        ended.

        Call it right before a message is sent, and after its values are encoded.
        """
        weak: list[int] = []
        strong: list[int] = []
        for number, value in list(self.mine.items()):
            if (sys.getrefcount(value) <= _UNUSED_OBJECT) != (number in self._weakened):
                (strong if number in self._weakened else weak).append(number)
        self._weakened.update(weak)
        self._weakened.difference_update(strong)
        gone, self._gone = self._gone, []
        if gone:
            self.note_ended()
        return [
            [name, numbers]
            for name, numbers in (("weak", weak), ("strong", strong), ("gone", gone))
            if numbers
        ]

    def note_ended(self) -> None:
        """Notice that proxies have ended because the other process said that their objects may."""

    def apply_lifetimes(self, name: str, numbers: list[int]) -> None:
        """Hold proxies weakly while only the other process's table refers to their objects.

        Raises:
            LookupError: there is no such object.
            ValueError: no such piece.
        """
        for number in numbers:
            if name == "gone":
                value = self.mine.pop(number)
                self._mine_ids.pop(id(value), None)
                self._weakened.discard(number)
                continue
            proxy = self.proxy_of(number)
            if name == "strong" and proxy is not None:
                self.theirs[number] = proxy
            elif name == "weak" and proxy is not None and _is_weakly_held(proxy):
                self.theirs[number] = weakref.ref(proxy, self._ended(number, id(proxy)))

    def _ended(self, number: int, identity: int) -> Callable[[object], None]:
        def note(_: object) -> None:
            self.theirs.pop(number, None)
            self._their_ids.pop(identity, None)
            self._gone.append(number)

        return note

    def share(self, number: int, value: object, tag: str, node: list[Any] | None = None) -> None:
        """Share a container under a number."""
        self.shared[number] = SharedContainer(value, tag, node)
        self._shared_ids[id(value)] = number

    def shared_number(self, value: object) -> int | None:
        """Number of a shared container; None if it is not shared."""
        return self._shared_ids.get(id(value))

    def unshare(self, number: int) -> None:
        """Forget a container that the other process holds no longer."""
        entry = self.shared.pop(number, None)
        if entry is not None and self._shared_ids.get(id(entry.value)) == number:
            del self._shared_ids[id(entry.value)]

    def sweep(self) -> list[int]:
        """Forget the shared containers that nothing else here refers to.

        Call it right before a message is sent, and after its values are encoded.

        Returns:
            Numbers of those that the other process knows.
        """
        dropped = []
        for number, entry in list(self.shared.items()):
            if sys.getrefcount(entry.value) <= _UNUSED:
                node, entry.before = entry.node, None
                self.unshare(number)
                if node is None:
                    dropped.append(number)
                else:
                    node[1] = 0
        return dropped

    def changed(self) -> list[tuple[int, SharedContainer]]:
        """List the shared containers that have changed since the last message.

        Those of the message that is being written are none of them: they have no snapshot yet.
        """
        found = []
        for number, entry in list(self.shared.items()):
            if entry.before is not None and not is_unchanged(entry.value, entry.tag, entry.before):
                found.append((number, entry))
                entry.before = None
        return found

    def take_snapshots(self) -> None:
        """Note the content of the containers that the message has brought or changed."""
        for entry in self.shared.values():
            if entry.before is None:
                entry.node = None
                entry.before = snapshot(entry.value, entry.tag)


def _unused_references() -> int:
    entry = SharedContainer([], "l")
    return next(sys.getrefcount(one.value) for one in [entry])


def _unused_object_references() -> int:
    table = {0: object()}
    return next(sys.getrefcount(value) for _, value in list(table.items()))


def _is_weakly_held(proxy: Any) -> bool:
    return type(proxy).__weakrefoffset__ != 0 and not isinstance(proxy, type | BaseException)


_UNUSED_OBJECT = _unused_object_references()
"""References to an object that only its table refers to, as ``lifetimes`` counts them."""

_UNUSED = _unused_references()
"""References to a container that only its table refers to, as ``sweep`` counts them."""

"""Peer of a process, as its proxies see it."""

from __future__ import annotations

from typing import Any, Protocol


class ProxyPeer(Protocol):
    """Requests that proxies make to the peer of their process."""

    def get_attribute(self, target: Any, name: str) -> Any: ...  # noqa: D102
    def set_attribute(self, target: Any, name: str, value: Any) -> None: ...  # noqa: D102
    def delete_attribute(self, target: Any, name: str) -> None: ...  # noqa: D102
    def call(self, target: Any, arguments: Any, keywords: Any) -> Any: ...  # noqa: D102
    def call_method(self, target: Any, name: str, arguments: Any, keywords: Any) -> Any: ...  # noqa: D102
    def call_special(self, target: Any, name: str, arguments: Any) -> Any: ...  # noqa: D102
    def awaited(self, target: Any) -> Any: ...  # noqa: D102
    def compare(self, name: str, target: Any, other: Any) -> Any: ...  # noqa: D102
    def given_values(self) -> frozenset[Any]: ...  # noqa: D102
    def note_item(self, one: Any, item: Any, given: frozenset[Any]) -> None: ...  # noqa: D102
    def hash_proxy(self, target: Any) -> int: ...  # noqa: D102
    def same_object(self, target: Any) -> None: ...  # noqa: D102
    def note_equal_contents(self, one: Any, other: Any) -> None: ...  # noqa: D102
    def note_operator(self, name: str, arguments: Any, answer: Any) -> None: ...  # noqa: D102
    def attributes_of(self, target: Any) -> Any: ...  # noqa: D102
    def new_subclass(self, name: str, bases: Any, namespace: Any, keywords: Any) -> Any: ...  # noqa: D102
    def is_subclass_of_mirror(self, owner: Any, kind: Any) -> bool: ...  # noqa: D102
    def is_instance(self, target: Any, mirror: Any) -> bool: ...  # noqa: D102
    def library_call(self, name: str, arguments: Any, keywords: dict[str, Any]) -> Any: ...  # noqa: D102
    def text_of_exception(self, error: BaseException) -> str: ...  # noqa: D102


class Current:
    """Holder of the peer of this process."""

    peer: ProxyPeer


def install(peer: ProxyPeer) -> None:
    """Make a peer the one that all proxies of this process ask."""
    Current.peer = peer


def uninstall() -> None:
    """Let go of the peer; proxies of this process are not used any more."""
    del Current.peer

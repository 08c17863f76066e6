"""Back ends by name: built-ins and plug-ins. A back end is imported when it is asked for."""

from importlib import import_module
from typing import TYPE_CHECKING, Literal, get_args

from testbudget.rewards.plugins import PluginGroup, check_name, plugin

if TYPE_CHECKING:
    from testbudget.scheduler.backends.base import Backend

BackendName = Literal["ray", "in_process", "recorded"]
"""Type of the names of built-in back ends."""

BACKENDS: tuple[BackendName, ...] = get_args(BackendName)
"""Names of the built-in back ends."""

_CLASSES = {
    "ray": ("ray", "RayBackend"),
    "in_process": ("in_process", "InProcessBackend"),
    "recorded": ("recorded", "RecordedBackend"),
}
"""Module of ``scheduler.backends`` and class of each built-in."""


def backend_class(name: str) -> "type[Backend]":
    """Class of a back end.

    Raises:
        UserError: unknown name, or a plug-in that cannot be used.
    """
    check_name("backend", name, PluginGroup.BACKENDS, BACKENDS)
    found: type[Backend]
    if name in _CLASSES:
        module, class_name = _CLASSES[name]
        found = getattr(import_module(f"testbudget.scheduler.backends.{module}"), class_name)
    else:
        contract = import_module("testbudget.scheduler.backends.base").Backend
        found = plugin(PluginGroup.BACKENDS, name, contract)
    return found

"""Plug-ins: policies, selection rules, generators, languages and back ends of other distributions.

A distribution names its plug-ins as entry points in the groups of `PluginGroup`. Built-ins are no entry
points: they need no look-up. An entry point is imported when it is asked for by name, and not before.
docs/extending.md shows one plug-in of each group.
"""

import inspect
from collections import defaultdict
from collections.abc import Iterable, Mapping
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING, Any

from testbudget.rewards.errors import UserError, choice_sentence, one_line

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint


class PluginGroup(StrEnum):
    """Groups of entry points. An entry point names a class that has no abstract method left."""

    POLICIES = "testbudget.policies"
    SELECTION_RULES = "testbudget.selection_rules"
    GENERATORS = "testbudget.generators"
    LANGUAGES = "testbudget.languages"
    BACKENDS = "testbudget.backends"


def plugin_names(group: str) -> tuple[str, ...]:
    """Names of the installed plug-ins of a group in alphabetical order. None of them is imported.

    Raises:
        UserError: two distributions use the same name.
    """
    return tuple(sorted(_entry_points(group)))


def check_name(field: str, name: str, group: str, built_in: Iterable[str]) -> None:
    """Check that a name is one of the built-ins or one of the plug-ins, and not both.

    Args:
        field: subject of the error sentence.
        name: name to look for.
        group: group of the plug-ins.
        built_in: names of the built-ins.

    Raises:
        UserError: there is nothing with this name, or a plug-in has the name of a built-in.
    """
    known = tuple(built_in)
    if name in known:
        return
    plugins = _entry_points(group)
    for taken in plugins.keys() & set(known):
        raise UserError(
            f"{_owner(plugins[taken])} calls an entry point of {group} {taken!r}, but that is a built-in: "
            "rename it or uninstall the distribution"
        )
    if name not in plugins:
        raise UserError(choice_sentence(field, name, (*known, *plugin_names(group))).strip())


def plugin(group: str, name: str, contract: type = object) -> Any:
    """Class of a plug-in, imported.

    Args:
        group: group of the plug-in.
        name: name of the plug-in.
        contract: abstract class that it must derive from. A plug-in of a contract with a ``name`` must bear
            the name of its entry point.

    Raises:
        UserError: there is no such plug-in, it cannot be imported, or it is no class of this contract.
    """
    plugins = _entry_points(group)
    if name not in plugins:
        known = ", ".join(plugins) or "none"
        raise UserError(f"{group} must be a group with an entry point {name!r} but it holds {known}")
    return _loaded(plugins[name], contract)


@cache
def _entry_points(group: str) -> Mapping[str, "EntryPoint"]:
    """Entry points of a group by name."""
    from importlib.metadata import entry_points  # takes as long as NumPy's import, and is seldom needed

    owners: defaultdict[str, dict[str, EntryPoint]] = defaultdict(dict)
    for entry_point in entry_points(group=group):
        owners[entry_point.name].setdefault(_owner(entry_point), entry_point)
    for name, found in owners.items():
        if len(found) > 1:
            raise UserError(f"entry point {name!r} of {group} is claimed by {' and by '.join(found)}")
    return {name: next(iter(found.values())) for name, found in owners.items()}


@cache
def _loaded(entry_point: "EntryPoint", contract: type) -> Any:
    subject = f"the plug-in {entry_point.name!r} of {_owner(entry_point)}"
    try:
        loaded = entry_point.load()
    except Exception as error:
        reason = f"{type(error).__name__}: {one_line(error)}"
        raise UserError(f"{subject} cannot be loaded from {entry_point.value}: {reason}") from error
    if not (isinstance(loaded, type) and issubclass(loaded, contract)):
        raise UserError(f"{subject} must be a subclass of {contract.__name__} but is {loaded!r}")
    if missing := sorted(getattr(loaded, "__abstractmethods__", ())):
        raise UserError(f"{subject} must define {', '.join(missing)} of {contract.__name__} but does not")
    if "name" in inspect.get_annotations(contract) and getattr(loaded, "name", None) != entry_point.name:
        raise UserError(
            f"{subject} must have name = {entry_point.name!r} but has {getattr(loaded, 'name', None)!r}"
        )
    return loaded


def _owner(entry_point: "EntryPoint") -> str:
    """Name and version of the distribution of an entry point."""
    distribution = entry_point.dist
    return f"{distribution.name} {distribution.version}" if distribution else "an unknown distribution"

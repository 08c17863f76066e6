"""Languages by name: built-ins and plug-ins, in the caller and inside the sandbox.

The interpreter inside the sandbox sees no installed packages and reads no metadata, so the caller finds a
plug-in and names its files. They are read before the sandbox closes.
"""

import importlib
import importlib.util
import sys
from collections.abc import Mapping
from functools import cache
from operator import attrgetter
from typing import Any

from testbudget.executors.execution.languages.base import Language
from testbudget.executors.execution.languages.compiled.c import C
from testbudget.executors.execution.languages.compiled.cpp import Cpp
from testbudget.executors.execution.languages.compiled.go import Go
from testbudget.executors.execution.languages.compiled.java import Java
from testbudget.executors.execution.languages.compiled.rust import Rust
from testbudget.executors.execution.languages.compiled.typescript import TypeScript
from testbudget.executors.execution.languages.javascript.language import JavaScript
from testbudget.executors.execution.languages.python.language import Python
from testbudget.rewards.errors import UserError
from testbudget.rewards.plugins import PluginGroup, check_name, plugin

BUILT_IN: Mapping[str, Language] = {
    "python": Python(),
    "javascript": JavaScript(),
    "c": C(),
    "cpp": Cpp(),
    "go": Go(),
    "java": Java(),
    "rust": Rust(),
    "typescript": TypeScript(),
}
"""Languages that need no plug-in, by name."""


@cache
def language(name: str) -> Language:
    """The language with this name.

    Raises:
        UserError: unknown name, or a plug-in that cannot be used.
    """
    check_name("language", name, PluginGroup.LANGUAGES, BUILT_IN)
    found: Language = BUILT_IN.get(name) or plugin(PluginGroup.LANGUAGES, name, Language)()
    return found


def usable_language(name: str) -> Language:
    """The language with this name, ready for a sandbox on this machine.

    Raises:
        UserError: as for `language`, or the machine lacks a program that the language needs.
    """
    found = language(name)
    if missing := found.what_is_missing():
        raise UserError(missing)
    found.prepare()
    return found


def language_place(name: str) -> dict[str, Any]:
    """Name and place of a language for `load_language`, as JSON values.

    Raises:
        UserError: as for `language`, or the plug-in does not lie in a file.
    """
    if name in BUILT_IN:
        return {"name": name}
    kind = type(language(name))
    package = kind.__module__.partition(".")[0]
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.has_location:
        raise UserError(f"the language {name} must lie in a package with a file but {package} has none")
    return {
        "name": name,
        "package": package,
        "file": spec.origin,
        "search": spec.submodule_search_locations and list(spec.submodule_search_locations),
        "module": kind.__module__,
        "class": kind.__qualname__,
    }


def load_language(place: Mapping[str, Any]) -> Language:
    """The language at a place. Called inside, before the first isolation layer.

    The import path is left as it is. A plug-in can therefore import nothing but the standard library,
    testbudget and its own package, and candidates find no package that they are not meant to find.

    Raises:
        ImportError: the plug-in imports something else.
    """
    if place["name"] in BUILT_IN:
        return BUILT_IN[place["name"]]
    package = place["package"]
    try:
        if package not in sys.modules:
            spec = importlib.util.spec_from_file_location(
                package, place["file"], submodule_search_locations=place["search"]
            )
            assert spec is not None
            assert spec.loader is not None
            sys.modules[package] = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(sys.modules[package])
        module = importlib.import_module(place["module"])
    except ImportError as error:
        raise ImportError(
            f"the language {place['name']} may import the standard library, testbudget and its own package "
            f"but {error}"
        ) from error
    found: Language = attrgetter(place["class"])(module)()
    return found

"""Modules of named packages, loaded in the fork servers before programs that import them.

A package of the user's choice may take seconds to import, which is more than most tests have. A submodule
is loaded where a program's text names it. As the text may come from a candidate, a process of its own tries
it first.
"""

import contextlib
import importlib
import importlib.util
import os
import re
import resource
import signal
import sys
from collections.abc import Iterable, Iterator, Sequence

# Names in brackets are bounded: a text may open as many brackets as it likes.
_IMPORT = re.compile(r"^[ \t]*import[ \t]+([^\n#;]+)", re.MULTILINE)
_FROM = re.compile(
    r"^[ \t]*from[ \t]+([\w.]+)[ \t]+import[ \t]*(?:\(([^)]{0,2000})\)|([^\n#;]*))", re.MULTILINE
)
_MAX_SUBMODULES = 200  # tried by one process
_TRIAL_SECONDS = 20

_tried: set[str] = set()


def package_imports(texts: Iterable[str], packages: Sequence[str]) -> list[str]:
    """Names of modules of packages that import statements may name, parents first.

    Args:
        texts: texts of programs. They are searched and not parsed.
        packages: names of top-level modules.
    """
    found: dict[str, None] = {}
    for text in texts:
        if any(package in text for package in packages):
            found.update(dict.fromkeys(_named(text)))
    paths = [name.split(".") for name in found]
    return sorted(
        {".".join(path[:end]) for path in paths if path[0] in packages for end in range(1, len(path) + 1)}
    )


def load_package_modules(names: Iterable[str]) -> None:
    """Import modules that ``package_imports`` has found; those that are none, or do not load, are ignored.

    A top-level module is imported at once, any other after a trial in a process of its own.
    """
    for name in sorted(names):
        parent, _, submodule = name.rpartition(".")
        if name in sys.modules or (parent and not _is_new_submodule(parent, submodule)):
            continue
        if not parent or _loads(name):
            with contextlib.suppress(Exception, SystemExit):
                importlib.import_module(name)


def _named(text: str) -> Iterator[str]:
    for names in _IMPORT.findall(text):
        for name in names.split(","):
            yield (name.split() or [""])[0]
    for module, several, line in _FROM.findall(text):
        yield module
        for name in (several or line).split(","):
            if words := name.split():
                yield f"{module}.{words[0]}"


def _is_new_submodule(parent: str, submodule: str) -> bool:
    """Return whether a loaded package holds a submodule that was not tried yet."""
    name = f"{parent}.{submodule}"
    package = sys.modules.get(parent)
    if package is None or submodule.startswith("_") or name in _tried or len(_tried) >= _MAX_SUBMODULES:
        return False
    try:
        return hasattr(package, "__path__") and importlib.util.find_spec(name) is not None
    except Exception:
        return False


def _loads(name: str) -> bool:
    """Return whether a module can be imported: it neither ends nor stops the process."""
    _tried.add(name)
    process = os.fork()
    if process == 0:
        with contextlib.suppress(BaseException):
            resource.setrlimit(resource.RLIMIT_CPU, (_TRIAL_SECONDS, _TRIAL_SECONDS))
            signal.alarm(_TRIAL_SECONDS)
            importlib.import_module(name)
            os._exit(0)
        os._exit(1)
    _, status = os.waitpid(process, 0)
    return status == 0

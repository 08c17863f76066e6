"""Installed distributions with plug-ins, as a package manager leaves them in a folder on the path."""

import importlib
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from testbudget.executors.execution.languages.registry import language
from testbudget.rewards import plugins
from testbudget.rewards.selection.registry import selection_rule


def install(
    folder: Path, name: str, entry_points: Mapping[str, Mapping[str, str]], files: Mapping[str, str]
) -> None:
    """Write the files of a distribution and its metadata.

    Args:
        folder: folder to install into; the caller puts it on the path.
        name: name of the distribution; its version is 1.0.
        entry_points: places of the plug-ins (``module:class``) by name, by group.
        files: texts of the modules, by path.
    """
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
    metadata = folder / f"{name.replace('-', '_')}-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    sections = (
        f"[{group}]\n" + "".join(f"{plugin} = {place}\n" for plugin, place in plugins.items())
        for group, plugins in entry_points.items()
    )
    (metadata / "entry_points.txt").write_text("\n".join(sections))


@contextmanager
def installing(folder: Path) -> Iterator[Callable[..., None]]:
    """A function that installs into a folder, which is on the path of this process until the end.

    Its arguments are those of :func:`install` after the first.
    """

    def write(name: str, entry_points: Mapping[str, Mapping[str, str]], files: Mapping[str, str]) -> None:
        install(folder, name, entry_points, files)
        _forget()

    sys.path.insert(0, str(folder))
    try:
        yield write
    finally:
        sys.path.remove(str(folder))
        for name, module in list(sys.modules.items()):
            if str(getattr(module, "__file__", None)).startswith(str(folder)):
                del sys.modules[name]
        _forget()


def _forget() -> None:
    for known in (plugins._entry_points, plugins._loaded, selection_rule, language):
        known.cache_clear()
    importlib.invalidate_caches()

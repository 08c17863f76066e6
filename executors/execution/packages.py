"""Installed distributions that programs may import in a sandbox, found in an environment.

A distribution brings the files of its record, and those of the distributions that it requires. Nothing else
of the environment is visible inside: a folder that it shares with others, such as that of a namespace
package, is shown file by file.
"""

import contextlib
import functools
import importlib.metadata
import json
import os
import subprocess
import sys
import sysconfig
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import Distribution
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from testbudget.executors.execution.languages.python.reasons import NOT_INSTALLED
from testbudget.executors.execution.package_choice import PackageChoice
from testbudget.rewards.errors import FieldError, UserError, did_you_mean
from testbudget.rewards.verdict_reason import DetailName, VerdictReason

_PROBE_SECONDS = 60
_CLOSE = 0.8  # similarity of a name that is suggested among hundreds of distributions
_PROBE = (
    "import json, sys, sysconfig; print(json.dumps({"
    "'version': sys.version.split()[0], 'abi': sysconfig.get_config_var('SOABI'), 'path': sys.path}))"
)
_EXTENSIONS = (".py", ".so")
_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class VisiblePackages:
    """Files of distributions that are visible in a sandbox.

    Attributes:
        files: files and directories outside, by their path below the import directory inside.
        modules: names of the top-level modules that the chosen distributions bring themselves.
        size_mib: size of all files, in MiB.
    """

    files: Mapping[str, str] = field(default_factory=dict)
    modules: tuple[str, ...] = ()
    size_mib: int = 0


@functools.cache
def find_packages(choice: PackageChoice) -> VisiblePackages:
    """Files of the chosen distributions and of those that they require.

    A requirement that is not installed is left out.

    Raises:
        FieldError: an environment is chosen and no distribution of it; there is no such environment, or it
            is of another Python; a distribution is not installed, is installed in editable mode, or has
            no record of its files.
    """
    if choice.python is not None and not choice.names:
        raise FieldError(
            "python", f"needs packages, the distributions of {choice.python} to import, but there are none"
        )
    if not choice.names:
        return VisiblePackages()
    environment = _environment(choice.python)
    chosen = [environment.chosen(name) for name in choice.names]
    closure = _closure(environment, chosen)
    records = {dist: _record(environment, name, dist) for name, dist in closure.items()}
    shown = _shown(environment, records)
    own = {top for requirement in chosen for top in records[closure[_key(requirement)]].tops}
    return VisiblePackages(
        shown,
        tuple(sorted(filter(None, map(_module, own)))),
        -(-sum(record.size for record in records.values()) // _MIB),
    )


def told_how_to_import(reason: VerdictReason, python: str | None) -> VerdictReason:
    """Reason that says which distribution brings a module that the sandbox lacks, if one is installed.

    Args:
        reason: reason of a verdict.
        python: as in `PackageChoice`.
    """
    module = reason.detail.get(DetailName.MODULE, "").partition(".")[0]
    if module and reason.sentence.endswith(NOT_INSTALLED):
        with contextlib.suppress(UserError):
            if owner := _environment(python).owner_of(module):
                sentence = f"{reason.sentence} It is there if packages names {owner}."
                return VerdictReason(sentence, reason.detail)
    return reason


class _Record(NamedTuple):
    """Record of the files of a distribution.

    Attributes:
        root: directory that it is installed in.
        files: paths of its files below the root, without those outside of it.
        size: size of the files in bytes, as far as it is recorded.
    """

    root: str
    files: tuple[PurePosixPath, ...]
    size: int

    @property
    def tops(self) -> set[str]:
        """First parts of the paths."""
        return {path.parts[0] for path in self.files}


class _Environment:
    """Distributions of an environment, by canonical name; the first on its path counts."""

    def __init__(self, place: str, path: Sequence[str]) -> None:
        self.place = place
        self.distributions: dict[str, Distribution] = {}
        for distribution in importlib.metadata.distributions(path=list(path)):
            if name := distribution.metadata["Name"]:
                self.distributions.setdefault(canonicalize_name(name), distribution)

    def chosen(self, text: str) -> Requirement:
        """Requirement of a name that was given.

        Raises:
            UserError: it is not installed, or in another version.
        """
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            raise FieldError("packages", f"must name distributions but got {text!r}") from None
        found = self.distributions.get(_key(requirement))
        if found is None:
            owner = self.owner_of(requirement.name)
            hint = f": {requirement.name} is a module of {owner}, which can be named" if owner else ""
            hint = hint or did_you_mean(_key(requirement), self.distributions, _CLOSE)
            raise FieldError(
                "packages", f"names {requirement.name}, which is not installed in {self.place}{hint}"
            )
        if not requirement.specifier.contains(found.version, prereleases=True):
            raise FieldError("packages", f"names {text} but {found.version} is installed in {self.place}")
        return requirement

    def owner_of(self, module: str) -> str | None:
        """Name of the distribution that brings a top-level module."""
        for name, tops in self.tops.items():
            if any(_module(top) == module for top in tops):
                return name
        return None

    @functools.cached_property
    def tops(self) -> Mapping[str, frozenset[str]]:
        """First parts of the paths of each distribution's files, by its name."""
        return {
            name: frozenset(
                line.partition(",")[0].partition("/")[0].strip('"')
                for line in (distribution.read_text("RECORD") or "").splitlines()
            )
            or frozenset((distribution.read_text("top_level.txt") or "").split())
            for name, distribution in self.distributions.items()
        }


@functools.cache
def _environment(python: str | None) -> _Environment:
    if python is None:
        return _Environment("the environment of testbudget", [place for place in sys.path if place])
    program = Path(python)
    if program.is_dir():
        program = program / "bin" / "python"
    try:
        answer = subprocess.run(
            [os.path.abspath(program), "-I", "-c", _PROBE],  # noqa: PTH100 - a link must stay one
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PROBE_SECONDS,
            check=True,
        )
        found: dict[str, Any] = json.loads(answer.stdout)
        version, abi, path = found["version"], found["abi"], found["path"]
    except (OSError, ValueError, KeyError, TypeError, subprocess.SubprocessError):
        raise FieldError(
            "python", f"must be the interpreter of an environment but {python} is none"
        ) from None
    if abi != sysconfig.get_config_var("SOABI"):
        raise FieldError(
            "python",
            f"must be an interpreter of Python {sys.version.split()[0]} as this one, "
            f"but {python} is Python {version}",
        )
    return _Environment(python, path)


def _key(requirement: Requirement) -> str:
    return canonicalize_name(requirement.name)


def _module(top: str) -> str | None:
    """Name of the top-level module in a file or a directory of an environment; None if it holds none."""
    name = top.partition(".")[0] if top.endswith(_EXTENSIONS) else top
    return name if name.isidentifier() and name != "__pycache__" else None


def _closure(environment: _Environment, chosen: Iterable[Requirement]) -> dict[str, Distribution]:
    """Chosen distributions and all that they require, by canonical name."""
    closure: dict[str, Distribution] = {}
    seen: set[tuple[str, frozenset[str]]] = set()
    waiting = list(chosen)
    while waiting:
        requirement = waiting.pop()
        name, extras = _key(requirement), frozenset(requirement.extras)
        distribution = environment.distributions.get(name)
        if distribution is None or (name, extras) in seen:
            continue
        seen.add((name, extras))
        closure[name] = distribution
        for text in distribution.requires or ():
            required = Requirement(text)
            marker = required.marker
            if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras)):
                waiting.append(required)
    return closure


def _record(environment: _Environment, name: str, distribution: Distribution) -> _Record:
    """Files of a distribution.

    Raises:
        UserError: it is installed in editable mode, or has no record.
    """
    origin = json.loads(distribution.read_text("direct_url.json") or "{}")
    if origin.get("dir_info", {}).get("editable"):
        raise FieldError(
            "packages",
            f"needs {name}, which is installed in editable mode in {environment.place}: "
            "install a copy of it",
        )
    root = str(distribution.locate_file(""))
    if distribution.read_text("RECORD"):
        listed = [(PurePosixPath(str(file)), file.size or 0) for file in distribution.files or ()]
    else:  # as the packages of some systems: the names of the modules are known
        tops = environment.tops[name]
        places = [Path(root, top) for top in tops] + [Path(root, f"{top}.py") for top in tops]
        listed = [(PurePosixPath(place.name), 0) for place in places if place.exists()]
    files = [
        (path, size)
        for path, size in listed
        if ".." not in path.parts and not path.is_absolute() and path.parts[0] != "__pycache__"
    ]
    kept = [(path, size) for path, size in files if path.suffix != ".pth"]
    if not any(_module(path.parts[0]) for path, _ in kept) and (not files or len(kept) < len(files)):
        raise FieldError(
            "packages",
            f"needs {name}, whose files in {environment.place} are not listed in a record: "
            "install it from a wheel",
        )
    return _Record(root, tuple(path for path, _ in kept), sum(size for _, size in kept))


def _shown(environment: _Environment, records: Mapping[Distribution, _Record]) -> dict[str, str]:
    """Files and directories outside by their path inside: none holds a file of another distribution."""
    visible = set(map(id, records))
    owners: defaultdict[str, set[str]] = defaultdict(set)
    for name, tops in environment.tops.items():
        for top in tops:
            owners[top].add(name)
    shown: dict[str, str] = {}
    for record in records.values():
        for top in record.tops:
            others = [name for name in owners[top] if id(environment.distributions[name]) not in visible]
            roots = {other.root for other in records.values() if top in other.tops}
            if not others and len(roots) == 1:
                shown[top] = str(Path(record.root, top))
                continue
            foreign = {
                PurePosixPath(str(file))
                for name in others
                for file in environment.distributions[name].files or ()
            } | {file for other in records.values() if other.root != record.root for file in other.files}
            blocked = {parent for file in foreign for parent in (file, *file.parents)}
            for file in record.files:
                if file.parts[0] == top:
                    places = [*reversed(file.parents), file][1:]
                    place = next((place for place in places if place not in blocked), file)
                    shown.setdefault(str(place), str(Path(record.root, place)))
    return {inside: outside for inside, outside in sorted(shown.items()) if Path(outside).exists()}

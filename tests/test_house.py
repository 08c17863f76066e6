"""The rules of the house: floors, names, sizes and imports of every module.

The rooms and their floors are described in docs/architecture.md, the words in docs/glossary.md.
"""

import ast
import collections
import functools
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FLOORS = {
    "rewards": 1,
    "policies": 2,
    "traces": 3,
    "difficulty": 4,
    "executors": 4,
    "scheduler": 5,
    "analysis": 6,
    "testbudget": 7,
}
MAX_LINES = 400
OPENINGS = ("What", "Who", "How", "Whether", "Which", "Where", "When")
RETIRED = set(
    "arena behaviour behaviours contestant heat heats journal kin ledger lesson lessons "
    "likeness nursery outlook races school solving workshop zygote".split()
)
"""Words that the glossary replaces; no identifier of the code consists of one."""


class Module:
    """One module of the code, parsed."""

    def __init__(self, path: Path) -> None:
        self.path = path.relative_to(ROOT)
        self.text = path.read_text(encoding="utf-8")
        self.tree = ast.parse(self.text)
        parts = self.path.with_suffix("").parts
        self.room = parts[0]
        package = parts if parts[-1] != "__init__" else parts[:-1]
        self.name = ".".join(package if self.room == "testbudget" else ("testbudget", *package))

    def public(self, kind: type[ast.AST]) -> Iterator[str]:
        """Names of public definitions at the top level of the module."""
        for node in self.tree.body:
            if isinstance(node, kind) and not node.name.startswith("_"):
                yield node.name

    def imports(self) -> Iterator[tuple[str, ...]]:
        """Every imported module or name as a dotted path, relative imports resolved; in functions too."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from ((alias.name,) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                base = node.module or ""
                if node.level:
                    above = self.name.split(".")[: -node.level]
                    base = ".".join([*above, base] if base else above)
                yield from ((base, alias.name) for alias in node.names)


@functools.cache
def modules() -> dict[str, Module]:
    """All modules of the code, by dotted name."""
    paths = (path for room in FLOORS for path in sorted((ROOT / room).rglob("*.py")))
    read = (Module(path) for path in paths if not any(p.is_symlink() for p in path.parents))
    return {module.name: module for module in read}


def imported_modules(module: Module) -> Iterator[Module]:
    """The modules of this project that a module imports."""
    for base, *names in module.imports():
        for dotted in (*(f"{base}.{name}" for name in names), base):
            if dotted in modules():
                yield modules()[dotted]
                break


def test_every_room_is_there_and_holds_modules():
    held = collections.Counter(module.room for module in modules().values())
    assert set(held) == set(FLOORS)
    assert min(held.values()) > 3


def test_imports_point_down():
    upward = [
        f"{module.path} imports {other.path}"
        for module in modules().values()
        for other in imported_modules(module)
        if other.room != module.room and FLOORS[other.room] >= FLOORS[module.room]
    ]
    assert upward == []


def test_no_module_is_imported_in_a_circle():
    arrows = {
        name: {other.name for other in imported_modules(module)} - {name}
        for name, module in modules().items()
    }
    while free := [name for name, needed in arrows.items() if not needed & arrows.keys()]:
        for name in free:
            del arrows[name]
    assert {name: sorted(needed & arrows.keys()) for name, needed in arrows.items()} == {}


def test_rooms_are_imported_by_their_whole_name():
    places = ["benchmarks", "examples", "tests"]
    sources = [*modules().values(), *(Module(p) for d in places for p in sorted((ROOT / d).rglob("*.py")))]
    bare = [
        f"{module.path}: {base}"
        for module in sources
        for base, *_ in module.imports()
        if base.split(".")[0] in FLOORS.keys() - {"testbudget"}
    ]
    assert bare == []


def test_no_module_is_longer_than_a_room_should_be():
    lengths = {str(m.path): m.text.count("\n") for m in modules().values()}
    assert {path: lines for path, lines in lengths.items() if lines > MAX_LINES} == {}


def test_no_public_class_is_defined_twice():
    homes = collections.defaultdict(list)
    for module in modules().values():
        for name in module.public(ast.ClassDef):
            homes[name].append(str(module.path))
    assert {name: paths for name, paths in homes.items() if len(paths) > 1} == {}


def test_no_public_class_is_the_plural_of_another():
    names = {name for module in modules().values() for name in module.public(ast.ClassDef)}
    assert {name for name in names if f"{name}s" in names or f"{name}es" in names} == set()


def test_no_docstring_opens_with_a_question_word():
    wrong = [
        f"{module.path}:{getattr(node, 'lineno', 1)} {text.splitlines()[0]}"
        for module in modules().values()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and (text := ast.get_docstring(node))
        and text.split(maxsplit=1)[0] in OPENINGS
    ]
    assert wrong == []


def test_every_public_definition_has_a_docstring():
    missing = [
        f"{module.path}: {getattr(node, 'name', 'module')}"
        for module in modules().values()
        for node in (module.tree, *module.tree.body)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and not getattr(node, "name", "").startswith("_")
        and not ast.get_docstring(node)
    ]
    assert missing == []


def test_no_identifier_is_a_retired_word():
    found = collections.defaultdict(set)
    for module in modules().values():
        for node in ast.walk(module.tree):
            named = [getattr(node, field, None) for field in ("id", "attr", "arg", "name")]
            words = {word for name in named if isinstance(name, str) for word in [name.strip("_").lower()]}
            if retired := words & RETIRED:
                found[str(module.path)] |= retired
    assert found == {}


def test_no_docstring_says_a_retired_word():
    pattern = re.compile(rf"\b({'|'.join(sorted(RETIRED - {'races'}))})\b", re.IGNORECASE)
    said = [
        f"{module.path}: {match.group()} in {text.splitlines()[0]!r}"
        for module in modules().values()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and (text := ast.get_docstring(node))
        and (match := pattern.search(text))
    ]
    assert said == []


ACROSS = set(
    "test_attack_variants test_bundle test_conformance test_corpus test_determinism test_front_door "
    "test_neighbours test_objects test_recorded_work test_resume".split()
)
"""Test files that hold several modules of their room to one contract."""


def test_tests_mirror_the_code():
    homes = {module.path.with_suffix("").parts for module in modules().values()}
    strays = []
    for path in sorted(path for room in FLOORS for path in (ROOT / "tests" / room).rglob("test_*.py")):
        *folder, name = path.relative_to(ROOT / "tests").with_suffix("").parts
        if name not in ACROSS and (*folder, name.removeprefix("test_")) not in homes:
            strays.append(str(path.relative_to(ROOT)))
    assert strays == []


def test_what_practitioners_look_for_is_where_the_list_says():
    rows = json.loads((ROOT / "tests" / "findable.json").read_text(encoding="utf-8"))
    assert len(rows) >= 36
    assert [path for row in rows for path in row["in"] if not (ROOT / path).is_file()] == []


PAGES = [
    path.relative_to(ROOT)
    for pattern in ("*.md", "docs/*.md", "benchmarks/*.md", "examples/*/*.md")
    for path in sorted(ROOT.glob(pattern))
]


@functools.cache
def anchors(page: Path) -> set[str]:
    """Anchors of the headings of a page, as they are made of them where it is shown."""
    prose = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", prose, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_relative_link_of_a_page_leads_somewhere(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        place, _, anchor = link.partition("#")
        if "://" in link:
            continue
        target = (ROOT / page).parent / place if place else ROOT / page
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("room", sorted(FLOORS.keys() - {"testbudget"}))
def test_no_room_can_be_imported_by_its_bare_name(room, tmp_path):
    ended = subprocess.run(
        [sys.executable, "-c", f"import {room}"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert f"No module named '{room}'" in ended.stderr

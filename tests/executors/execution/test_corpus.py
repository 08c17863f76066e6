"""Verdicts on the corpus of honest and hostile programs, with and without isolation layers.

Programs in ``survival`` run in every mode. Those in files of ``REACHING`` reach for other processes and for
what the sandbox is made of, and run in the most and in the least isolated mode. The others run in one of
these two by turns, since what they return counts in both alike.

Each file under ``corpus`` holds YAML documents. A document has one or more tests and, under the name of a
verdict, the candidates that must get it on each test: one text, or several by name. Further keys:

- ``kind``: ``unittest`` (by default), ``assert`` or ``stdin``; ``language``: ``python`` by default;
- ``tests`` of kind ``stdin``: inputs and expected outputs; ``comparison`` of the outputs, if not the usual;
- ``entry_point``: name that the candidates define;
- ``times``: number of repetitions of the tests;
- ``wrong twins``: pairs of texts; a twin is the first program that passes, with the first text replaced by
  the second, and must not pass;
- ``patience``: limits of a test; ``short`` where many candidates loop or sleep.

``OUTSIDE`` in a text becomes the path of a directory that candidates must not reach. Every fifth candidate
that does not pass, and each one in ``survival``, is followed by one that passes. The last candidate of a
block fails. Afterwards there may be no further process and no changed file outside.
"""

import contextlib
import os
import shutil
import tempfile
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path

import pytest
import yaml

from testbudget.executors.execution.sandbox import kernel
from testbudget.rewards.comparison import Comparison, TextComparison
from testbudget.rewards.problem import NOT_RUN, TestKind, UnitTest, Verdict
from testbudget.rewards.stdin_case import StdinCase

CORPUS = Path(__file__).parent / "corpus"
NAMES = {int(verdict): verdict.name.lower().replace("_", " ") for verdict in Verdict} | {NOT_RUN: "not run"}
NOT_PASSED = frozenset(Verdict) - {Verdict.PASSED}
PROCESSES = 16  # of a runner: guard, server, reader, four judges, four fork servers and their next ones
PASSING_INTERVAL = 5  # candidates that do not pass, before one that does
REACHING = {"escaping", "leaving", "patching", "poisoning", "reading", "stdin_programs"}
ONLY_PASSED, ONLY_FAILED = frozenset({Verdict.PASSED}), frozenset({Verdict.FAILED})


@dataclass(frozen=True, slots=True)
class Case:
    """A candidate and its possible verdicts."""

    name: str
    program: str
    verdicts: frozenset[int]


class Modes(Enum):
    """Modes that a document is run in."""

    ALL = auto()
    MOST_AND_LEAST_ISOLATED = auto()
    BY_TURNS = auto()


@dataclass(frozen=True, slots=True)
class Document:
    """Tests and the candidates to run on all of them."""

    name: str
    modes: Modes
    language: str
    entry_point: str | None
    patience: str
    tests: tuple[UnitTest, ...]
    comparison: Comparison
    cases: tuple[Case, ...]


def numbered(text, number, language):
    """Make a text unique, so that equal texts are all run."""
    return f"{text}\n{'//' if language == 'javascript' else '#'} {number}"


def document(stem, content, modes):
    name, entry_point = f"{stem}: {content.pop('name')}", content.pop("entry_point", None)
    kind, language = TestKind(content.pop("kind", "unittest")), content.pop("language", "python")
    patience, times = content.pop("patience", "usual"), content.pop("times", 1)
    codes = (content.pop("tests", None) or [content.pop("test")]) * times
    tests = tuple(
        UnitTest(
            name,
            index,
            StdinCase(**code).as_text() if kind == "stdin" else numbered(code, index, language),
            kind=kind,
        )
        for index, code in enumerate(codes)
    )
    comparison = content.pop("comparison", {})
    if "text" in comparison:
        comparison["text"] = TextComparison(comparison["text"])
    twins = content.pop("wrong twins", [])
    cases = []
    for phrase, programs in content.items():
        named = {phrase: programs} if isinstance(programs, str) else programs
        cases += [Case(name, program, verdicts(phrase)) for name, program in named.items()]
    cases += [Case(f"{old} -> {new}", twin(cases[0].program, old, new), NOT_PASSED) for old, new in twins]
    return Document(
        name,
        modes,
        language,
        entry_point,
        patience,
        tests,
        Comparison(**comparison),
        tuple(cases),
    )


def twin(program, old, new):
    assert old in program, f"a wrong twin replaces {old!r}, which is not in its program"
    return program.replace(old, new)


def verdicts(phrase):
    if phrase == "not passed":
        return NOT_PASSED
    numbers = {name: number for number, name in NAMES.items()}
    return frozenset(numbers[name] for name in phrase.split(" or "))


def modes_of(path):
    if path.parent.name == "survival":
        return Modes.ALL
    return Modes.MOST_AND_LEAST_ISOLATED if path.stem in REACHING else Modes.BY_TURNS


DOCUMENTS = [
    document(path.stem, content, modes_of(path))
    for path in sorted(CORPUS.glob("*/*.yaml"))
    for content in yaml.safe_load_all(path.read_text())
]


def in_order(cases, interval):
    """The cases in the order of execution, with a passing one after some that do not pass."""
    honest = [case for case in cases if case.verdicts == ONLY_PASSED][:1]
    unsuccessful = [case for case in cases if case.verdicts == ONLY_FAILED][:1]
    order, others = list(honest), 0
    for case in cases:
        others += case.verdicts != ONLY_PASSED
        follows = case.verdicts != ONLY_PASSED and others % interval == 0
        order += [case, *honest] if follows else [case]
    return order + unsuccessful


def sandbox_processes():
    """Number of sandbox processes among the descendants of this process, which adopts orphans."""
    parents = {}
    for process in Path("/proc").iterdir():
        if process.name.isdecimal():
            with contextlib.suppress(OSError):
                parent = (process / "stat").read_text().rpartition(")")[2].split()[1]
                if (
                    b"testbudget.executors.execution.judging.sandbox_main"
                    in (process / "cmdline").read_bytes()
                ):
                    parents[process.name] = parent
    found = {str(os.getpid())}
    while more := {process for process, parent in parents.items() if parent in found} - found:
        found |= more
    return len(found) - 1


@pytest.fixture
def outside():
    """A directory that every user may write to outside the sandbox."""
    kernel.adopt_orphans()
    directory = Path(tempfile.mkdtemp(prefix="outside-"))
    directory.chmod(0o777)
    (directory / "kept").write_text("kept")
    (directory / "kept").chmod(0o666)
    yield directory
    shutil.rmtree(directory)


@pytest.mark.parametrize("document", DOCUMENTS, ids=[document.name for document in DOCUMENTS])
def test_every_candidate_gets_its_verdict_and_changes_nothing_outside(every_mode, outside, document):
    cases = in_order(document.cases, 1 if document.modes is Modes.ALL else PASSING_INTERVAL)
    programs = [
        numbered(case.program.replace("OUTSIDE", str(outside)), number, document.language)
        for number, case in enumerate(cases)
    ]
    modes = list(every_mode)
    if document.modes is not Modes.ALL:
        modes = [modes[0], modes[-1]]
    if document.modes is Modes.BY_TURNS:
        modes = [modes[DOCUMENTS.index(document) % 2]]
    started = {
        mode: every_mode[mode](document.language, document.patience).start(
            programs, document.tests, document.entry_point, comparison=document.comparison
        )
        for mode in modes
    }
    unexpected = [
        (mode, case.name, [NAMES[verdict] for verdict in row])
        for mode, answer in started.items()
        for case, row in zip(cases, answer.result().verdicts.tolist(), strict=True)
        if not case.verdicts.issuperset(row)
    ]
    assert unexpected == []
    assert {path.name: path.read_text() for path in outside.iterdir()} == {"kept": "kept"}
    assert (outside / "kept").stat().st_mode & 0o777 == 0o666
    assert sandbox_processes() <= PROCESSES * sum(map(len, every_mode.values()))

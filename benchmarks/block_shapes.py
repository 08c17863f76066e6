"""Shapes of blocks as a run sends them to its runners, and rows of such blocks with fresh texts.

A row is made of successive blocks of one problem: the same programs, each time with further tests. Each
text ends with a comment of its own, so no text occurs twice, in a block or in two.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml
from numpy.typing import NDArray
from recorded_blocks import RecordedProblem, mixed_block

from testbudget.rewards.problem import TestKind, UnitTest

CLASS_PROBLEMS = Path(__file__).with_name("class_problems.yaml")
CANDIDATES = (16, 32, 48, 100)
TESTS = (1, 3, 10, 32)
LOOPING_SHARES = (0.0, 0.01, 0.05)
_TESTS_PER_ROW = 20


@dataclass(frozen=True, slots=True)
class BlockShape:
    """Shape of a block.

    Attributes:
        candidates, tests: their numbers.
        objects: True if tests use objects of the candidates' classes, False if they call functions.
        looping: share of the candidates that never return from a call.
    """

    candidates: int
    tests: int
    objects: bool = False
    looping: float = 0.0

    @property
    def name(self) -> str:
        """Name in the figures, such as "16x3 objects, 5 % looping"."""
        kind = " objects" if self.objects else ""
        looping = f", {self.looping:.0%} looping".replace("%", " %") if self.looping else ""
        return f"{self.candidates}x{self.tests}{kind}{looping}"

    @property
    def blocks(self) -> int:
        """Number of blocks of a row."""
        return max(1, _TESTS_PER_ROW // self.tests)


@dataclass(frozen=True, slots=True, eq=False)
class ShapedBlock:
    """Block of a given shape.

    Attributes:
        entry_point: function or class under test.
        candidates: programs.
        tests: ``unittest.TestCase`` classes.
        looping: bool (candidates,), True for the programs that never return.
    """

    entry_point: str
    candidates: tuple[str, ...]
    tests: tuple[UnitTest, ...]
    looping: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class ClassProblem:
    """Problem whose candidates are classes.

    Attributes:
        entry_point: name of the class.
        programs: right and wrong programs.
        tests: texts of tests, with ``$n``, ``$m`` and ``$k`` for numbers.
    """

    entry_point: str
    programs: tuple[str, ...]
    tests: tuple[str, ...]

    def test(self, number: int) -> UnitTest:
        """Test of a given number; no two are equal."""
        kind, form = number % len(self.tests), number // len(self.tests)
        text = self.tests[kind]
        for name, value in (("$n", 3 + 2 * form), ("$m", 40 + form % 37), ("$k", 1 + form % 9)):
            text = text.replace(name, str(value))
        return UnitTest(self.entry_point, number, f"import unittest\n{text}", kind=TestKind.UNITTEST)


class BlockSource:
    """Rows of blocks of any shape.

    Args:
        problems: recorded problems, whose candidates are functions.
        random: chooses problems, candidates, tests and the looping ones.
    """

    def __init__(self, problems: Sequence[RecordedProblem], random: np.random.Generator) -> None:
        self._problems = problems
        self._classes = class_problems()
        self._random = random
        self._texts = itertools.count()
        self._rows = itertools.count()
        self._owed: dict[BlockShape, float] = {}

    def row(self, shape: BlockShape) -> Iterator[ShapedBlock]:
        """The blocks of one problem."""
        source = self._class_block(shape) if shape.objects else self._function_block(shape)
        entry_point, programs, tests = source
        looping = np.zeros(shape.candidates, np.bool_)
        looping[self._random.permutation(shape.candidates)[: self._loops(shape)]] = True
        for start in range(0, len(tests), shape.tests):
            yield ShapedBlock(
                entry_point,
                tuple(
                    self._fresh(_looping(text, entry_point, objects=shape.objects) if loops else text)
                    for text, loops in zip(programs, looping, strict=True)
                ),
                tuple(self._fresh_test(test) for test in tests[start : start + shape.tests]),
                looping,
            )

    def empty_blocks(self) -> Iterator[ShapedBlock]:
        """Blocks of one candidate, an empty function, and one test without end."""
        while True:
            test = UnitTest("empty", 0, "assert nothing() is None", kind=TestKind.ASSERT)
            program = self._fresh("def nothing():\n    pass\n")
            yield ShapedBlock("nothing", (program,), (self._fresh_test(test),), np.zeros(1, np.bool_))

    def _function_block(self, shape: BlockShape) -> tuple[str, tuple[str, ...], tuple[UnitTest, ...]]:
        tests = shape.tests * shape.blocks
        while True:
            problem = self._problems[int(self._random.integers(len(self._problems)))]
            block = mixed_block(problem, self._random, shape.candidates, tests)
            if block is not None:
                return block.entry_point, block.candidates, block.tests

    def _class_block(self, shape: BlockShape) -> tuple[str, tuple[str, ...], tuple[UnitTest, ...]]:
        problem = self._classes[next(self._rows) % len(self._classes)]
        programs = self._random.permutation(np.resize(np.arange(len(problem.programs)), shape.candidates))
        tests = map(problem.test, range(shape.tests * shape.blocks))
        return (
            problem.entry_point,
            tuple(problem.programs[index] for index in programs.tolist()),
            tuple(tests),
        )

    def _loops(self, shape: BlockShape) -> int:
        """Number of looping candidates of the next row, so that their share is right over many rows."""
        owed = self._owed.get(shape, 0.5) + shape.candidates * shape.looping
        self._owed[shape] = owed % 1
        return int(owed)

    def _fresh(self, text: str) -> str:
        return f"{text}\n# {next(self._texts)}\n"

    def _fresh_test(self, test: UnitTest) -> UnitTest:
        return UnitTest(test.problem, test.index, self._fresh(test.code), kind=test.kind)


def class_problems() -> list[ClassProblem]:
    """All problems of ``class_problems.yaml``."""
    documents = yaml.safe_load_all(CLASS_PROBLEMS.read_text(encoding="utf-8"))
    return [
        ClassProblem(document["entry_point"], tuple(document["programs"]), tuple(document["tests"]))
        for document in documents
    ]


def all_shapes() -> list[BlockShape]:
    """Every shape: functions before objects, and without loops first."""
    return [
        BlockShape(candidates, tests, objects, looping)
        for objects in (False, True)
        for looping in LOOPING_SHARES
        for candidates in CANDIDATES
        for tests in TESTS
    ]


def _looping(text: str, entry_point: str, *, objects: bool) -> str:
    """Program whose function, or constructor, never returns."""
    name = "_never" if objects else entry_point
    loop = f"{text}\n\ndef {name}(*args, **kwargs):\n    while True:\n        pass\n"
    return f"{loop}\n\n{entry_point}.__init__ = _never\n" if objects else loop

"""Problems to judge a test writer on while it is trained: prompts, and known candidates."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from testbudget.analysis.distill.judged import JudgedProblem
from testbudget.rewards.errors import UserError
from testbudget.traces.files import read_rows

JUDGES_FILE = "judges.eval.jsonl"
"""File of the problems in a directory of training data."""

_MOST_PROGRAMS = 8  # right ones, and wrong ones


@dataclass(frozen=True, slots=True)
class JudgingProblem:
    """A problem that written tests are judged on.

    Attributes:
        problem: id of the problem.
        prompt: prompt that asks for a test.
        entry_point: name that tests call; None for a program that reads standard input.
        language: language of the programs.
        comparison: comparison of printed texts, as text.
        right, wrong: programs; at least one of each.
    """

    problem: str
    prompt: str
    entry_point: str | None
    language: str
    comparison: str
    right: tuple[str, ...]
    wrong: tuple[str, ...]


def judging_problems(problems: Sequence[JudgedProblem]) -> list[JudgingProblem]:
    """The problems with a test, a right and a wrong program, each once."""
    found = {}
    for one in problems:
        right, wrong = _first(one, right=True), _first(one, right=False)
        if one.tests and right and wrong and one.problem.content_hash not in found:
            found[one.problem.content_hash] = JudgingProblem(
                one.problem.id,
                one.tests[0].prompt,
                one.problem.entry_point,
                one.problem.language,
                one.problem.comparison.as_text(),
                right,
                wrong,
            )
    return list(found.values())


def read_judging_problems(directory: Path) -> list[JudgingProblem]:
    """Problems of a directory of training data; none if it has no such file.

    Raises:
        UserError: a row lacks a field or has another one.
    """
    path = directory / JUDGES_FILE
    if not path.exists():
        return []
    names = {field.name for field in fields(JudgingProblem)}
    found = []
    for number, row in read_rows(path, "problems to judge on must come from a JSONL file"):
        if row.keys() != names:
            raise UserError(f"{path}:{number} must hold {', '.join(sorted(names))} but holds {sorted(row)}")
        values: dict[str, Any] = {**row, "right": tuple(row["right"]), "wrong": tuple(row["wrong"])}
        found.append(JudgingProblem(**values))
    return found


def _first(of: JudgedProblem, *, right: bool) -> tuple[str, ...]:
    chosen = np.flatnonzero(of.right if right else of.wrong)[:_MOST_PROGRAMS]
    return tuple(of.programs[program] for program in chosen.tolist())

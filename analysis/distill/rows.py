"""Rows of training data in the chat form: tests, pairs of tests, and pairs of candidates."""

import hashlib
import math
from collections.abc import Iterable
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from testbudget.analysis.distill.filters import ProblemTest, fenced
from testbudget.analysis.distill.judged import JudgedProblem
from testbudget.analysis.distill.settings import DistillSettings
from testbudget.executors.generation.prompts import prompt_template
from testbudget.rewards.problem import Problem

Row = dict[str, Any]
"""A row by column. ``prompt``, ``completion``, ``chosen`` and ``rejected`` are lists of chat messages."""


def test_rows(tests: Iterable[ProblemTest]) -> list[Row]:
    """Rows to fine-tune a test writer on: a prompt and the test as its completion."""
    return [
        {
            "prompt": _message("user", one.test.prompt),
            "completion": _message("assistant", one.text),
            **_origin(one.of),
            "test": one.test.index,
            "right_passed": _known(one.test.right_passed),
            "wrong_rejected": _known(one.test.wrong_rejected),
            "quality": _known(one.test.quality),
        }
        for one in tests
    ]


def test_pair_rows(
    kept: Iterable[ProblemTest], executed: Iterable[ProblemTest], settings: DistillSettings
) -> list[Row]:
    """Preference pairs of tests: one that the filters kept, and a clearly worse one of the same problem.

    The best goes with the worst, the second best with the second worst, and so on; each test is in one pair
    at most. The prompt is that of the better one.
    """
    rows = []
    others = _by_problem(executed)
    for content_hash, good in _by_problem(kept).items():
        chosen = {(one.of.run, one.test.index) for one in good}
        bad = [one for one in others[content_hash] if (one.of.run, one.test.index) not in chosen]
        ranked = zip(_by_quality(good)[::-1], _by_quality(bad), strict=False)
        for best, worst in islice(ranked, settings.pairs_per_problem):
            margin = best.test.quality - worst.test.quality
            if margin >= settings.min_margin:
                messages = _preference(best.test.prompt, best.text, worst.text)
                tests = {"chosen_test": best.test.index, "rejected_test": worst.test.index}
                rows.append(messages | _origin(best.of) | tests | {"margin": margin})
    return rows


def candidate_pair_rows(problems: Iterable[JudgedProblem], settings: DistillSettings) -> list[Row]:
    """Preference pairs of candidates: a right program and a wrong one of the same problem.

    Wrong programs that passed the most tests come first: they are the hardest to tell. The prompt asks for
    the program. Pairs of one problem in several runs are drawn from each run.
    """
    rows = []
    for one in problems:
        if one.probability < settings.min_probability:
            continue
        prompt = prompt_template(_candidate_template(one.problem)).render(one.problem).text
        executed = sum(test.executed for test in one.tests)
        ranked = zip(_by_votes(one, one.right), _by_votes(one, one.wrong), strict=False)
        for better, worse in islice(ranked, settings.pairs_per_problem):
            texts = [fenced(one.programs[program], one.problem.language) for program in (better, worse)]
            votes = {"chosen_passed": int(one.passed[better]), "rejected_passed": int(one.passed[worse])}
            rows.append(_preference(prompt, *texts) | _origin(one) | votes | {"tests": executed})
    return rows


def row_hash(row: Row) -> str:
    """Hex SHA-256 of the messages of a row: equal for rows that train alike."""
    texts = [
        row[name][0]["content"] for name in ("prompt", "completion", "chosen", "rejected") if name in row
    ]
    return hashlib.sha256("\0".join(texts).encode("utf-8", "surrogatepass")).hexdigest()


def _origin(of: JudgedProblem) -> Row:
    return {
        "problem": of.problem.id,
        "content_hash": of.problem.content_hash,
        "run": of.run,
        "judged_by": of.judged_by,
        "probability": of.probability,
    }


def _message(role: str, content: str) -> list[dict[str, str]]:
    return [{"role": role, "content": content}]


def _preference(prompt: str, chosen: str, rejected: str) -> Row:
    return {
        "prompt": _message("user", prompt),
        "chosen": _message("assistant", chosen),
        "rejected": _message("assistant", rejected),
    }


def _by_quality(tests: Iterable[ProblemTest]) -> list[ProblemTest]:
    """Tests of known quality, from the worst."""
    known = [one for one in tests if not math.isnan(one.test.quality)]
    return sorted(known, key=lambda one: one.test.quality)


def _by_votes(of: JudgedProblem, among: NDArray[np.bool_]) -> list[int]:
    """Positions of some programs, from the one that passed the most tests."""
    return sorted(np.flatnonzero(among).tolist(), key=lambda program: -of.passed[program])


def _candidate_template(problem: Problem) -> str:
    if problem.entry_point is None:
        return "program"
    return "chat_javascript" if problem.language == "javascript" else "chat"


def _by_problem(tests: Iterable[ProblemTest]) -> dict[str, list[ProblemTest]]:
    of_problem: dict[str, list[ProblemTest]] = {}
    for one in tests:
        of_problem.setdefault(one.of.problem.content_hash, []).append(one)
    return of_problem


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value

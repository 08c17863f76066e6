"""Candidate or unit test in a model's answer, by the language of the problem."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from testbudget.executors.generation.extraction import javascript, python
from testbudget.executors.generation.extraction.answers import (
    ExtractedTest,
    UnusableError,
    fenced_blocks,
    without_reasoning,
)
from testbudget.executors.generation.prompts import AnswerForm, PromptTemplate
from testbudget.rewards.errors import UserError
from testbudget.rewards.problem import Problem


class _Language(NamedTuple):
    tags: tuple[str, ...]  # of fenced blocks
    extract_test: Callable[[str, str], str]
    normal_form: Callable[[str], str]


_LANGUAGES: Mapping[str, _Language] = {
    "python": _Language(python.TAGS, python.extract_python_test, python.python_normal_form),
    "javascript": _Language(
        javascript.TAGS, javascript.extract_javascript_test, javascript.javascript_normal_form
    ),
}


def extract_unit_test(text: str, entry_point: str, language: str = "python") -> ExtractedTest:
    """Unit test in a model's answer.

    Definitions that would replace the candidate are removed: copies of the entry point, and its imports
    from modules that do not exist in the sandbox. Of a truncated answer, the complete statements are kept.
    The module of each language describes which other parts are kept.

    Args:
        text: answer, with or without code fences. The last fence may be missing.
        entry_point: name of the function or class under test.
        language: language of the test, as in `Problem.language`.

    Returns:
        The test, or the reason for its absence.

    Raises:
        UserError: tests in this language are not supported.
    """
    try:
        return ExtractedTest(_language(language).extract_test(text, entry_point), None)
    except UnusableError as error:
        return ExtractedTest(None, error.rejection)


def extract_candidate(template: PromptTemplate, problem: Problem, text: str) -> str:
    """Program in a model's answer to a template for candidates.

    An answer without usable code is not an error: it becomes a candidate that passes no test.

    Args:
        template: template that the answer was sampled with.
        problem: problem of the candidate.
        text: answer, with or without code fences.
    """
    if template.answer is AnswerForm.CONTINUES_PROMPT:
        return problem.prompt + text
    known = _LANGUAGES.get(template.language)
    blocks = fenced_blocks(text, known.tags if known else (template.language, ""))
    if not blocks:
        return without_reasoning(text)
    return next((block for block in blocks if problem.entry_point in block), blocks[0])


def normal_form(code: str, language: str = "python") -> str:
    """Normal form of a test, equal for tests that differ in comments and layout only.

    Args:
        code: test program.
        language: language of the test, as in `Problem.language`.

    Raises:
        UserError: tests in this language are not supported.
    """
    return _language(language).normal_form(code)


def _language(name: str) -> _Language:
    if name not in _LANGUAGES:
        raise UserError(f"the language of a test must be one of {', '.join(_LANGUAGES)} but got {name!r}")
    return _LANGUAGES[name]

"""Candidate or unit test in a model's answer, by the language of the problem."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from testbudget.executors.execution.languages import registry
from testbudget.executors.generation.extraction import javascript, python
from testbudget.executors.generation.extraction.answers import (
    ExtractedTest,
    Rejection,
    UnusableError,
    fenced_blocks,
    without_reasoning,
)
from testbudget.executors.generation.prompts import AnswerForm, PromptTemplate
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
    The module of each language describes which other parts are kept. In the language of a plug-in the test
    is the first fenced block that holds the entry point.

    Args:
        text: answer, with or without code fences. The last fence may be missing.
        entry_point: name of the function or class under test.
        language: language of the test, as in `Problem.language`.

    Returns:
        The test, or the reason for its absence.

    Raises:
        UserError: the language is unknown.
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
    blocks = fenced_blocks(text, _language(template.language).tags)
    if not blocks:
        return without_reasoning(text)
    return next((block for block in blocks if problem.entry_point in block), blocks[0])


def normal_form(code: str, language: str = "python") -> str:
    """Normal form of a test, equal for tests that differ in comments and layout only.

    Args:
        code: test program.
        language: language of the test, as in `Problem.language`.

    Raises:
        UserError: the language is unknown.
    """
    return _language(language).normal_form(code)


def _language(name: str) -> _Language:
    if name in _LANGUAGES:
        return _LANGUAGES[name]
    tags = (name, *registry.language(name).tags, "")

    def extract_test(text: str, entry_point: str) -> str:
        blocks = fenced_blocks(text, tags) or [without_reasoning(text)]
        found = next((block for block in blocks if entry_point in block), None)
        if found is None:
            raise UnusableError(Rejection.ENTRY_POINT_UNUSED)
        return found

    return _Language(tags, extract_test, _without_blank_lines)


def _without_blank_lines(code: str) -> str:
    return "\n".join(line.rstrip() for line in code.splitlines() if line.strip())

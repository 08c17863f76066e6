"""Candidate or unit test in a model's answer, by the language of the problem."""

import re
from collections.abc import Callable, Mapping
from itertools import islice
from typing import NamedTuple

from testbudget.executors.execution.languages import registry
from testbudget.executors.generation.extraction import javascript
from testbudget.executors.generation.extraction.answers import (
    ExtractedTest,
    Rejection,
    UnusableError,
)
from testbudget.executors.generation.extraction.candidates import (
    CandidateReading,
    ExtractionRule,
    no_program,
)
from testbudget.executors.generation.extraction.code_blocks import (
    answer_text,
    code_blocks,
    without_end_mark,
)
from testbudget.executors.generation.extraction.pattern_candidates import (
    PatternLanguage,
    read_pattern_candidate,
)
from testbudget.executors.generation.extraction.python_candidates import read_python_candidate
from testbudget.executors.generation.extraction.python_programs import read_python_program
from testbudget.executors.generation.extraction.python_statements import PYTHON_TAGS, parses
from testbudget.executors.generation.extraction.python_tests import extract_python_test, python_normal_form
from testbudget.executors.generation.extraction.stdin_tests import extract_stdin_test, stdin_normal_form
from testbudget.executors.generation.prompts import AnswerForm, PromptTemplate
from testbudget.rewards.problem import Problem, TestKind

_CLOSING_FENCE = re.compile(r"^```[ \t]*$", re.MULTILINE)
_MAX_FENCES = 16  # that are tried as the end of a program


class _Language(NamedTuple):
    tags: tuple[str, ...]  # of fenced blocks
    extract_test: Callable[[str, str], tuple[str, TestKind]]
    normal_form: Callable[[str], str]


_LANGUAGES: Mapping[str, _Language] = {
    "python": _Language(PYTHON_TAGS, extract_python_test, python_normal_form),
    "javascript": _Language(
        javascript.TAGS,
        javascript.extract_javascript_test,
        javascript.javascript_normal_form,
    ),
}


def extract_unit_test(text: str, entry_point: str | None, language: str = "python") -> ExtractedTest:
    """Unit test in a model's answer.

    Definitions that would replace the candidate are removed: copies of the entry point, and its imports
    from modules that do not exist in the sandbox. Of a truncated answer, the complete statements are kept.
    The module of each language describes which other parts are kept. In the language of a plug-in the test
    is the first fenced block that holds the entry point.

    Args:
        text: answer, with or without code fences. The last fence may be missing.
        entry_point: name of the function or class under test; None for a program that reads standard
            input, whose test is of the kind ``STDIN`` whatever the language.
        language: language of the test, as in `Problem.language`.

    Returns:
        The test, or the reason for its absence.

    Raises:
        UserError: the language is unknown.
    """
    try:
        if entry_point is None:
            code, kind = extract_stdin_test(text)
        else:
            code, kind = _language(language).extract_test(text, entry_point)
    except UnusableError as error:
        return ExtractedTest(None, error.rejection)
    return ExtractedTest(code, None, kind)


def read_candidate(
    template: PromptTemplate, problem: Problem, text: str, rule: ExtractionRule = ExtractionRule.LAST
) -> CandidateReading:
    """Candidate in a model's answer to a template for candidates.

    An answer that holds no program is not an error: it becomes a candidate that passes no test.

    Args:
        template: template that the answer was sampled with.
        problem: problem of the candidate.
        text: the answer.
        rule: which of several programs in the answer is taken.
    """
    if template.answer is AnswerForm.CONTINUES_PROMPT:
        return _continuation(problem, text)
    if problem.language == "python":
        if problem.entry_point is None:
            return read_python_program(text, rule)
        return read_python_candidate(text, problem.entry_point, problem.prompt, rule)
    language = pattern_language(problem.language)
    return read_pattern_candidate(language, problem.entry_point, problem.prompt, text, rule)


def _continuation(problem: Problem, text: str) -> CandidateReading:
    """Prompt followed by the answer, up to its end mark or to a closing fence that words follow.

    An answer of blanks and comments alone adds no program.
    """
    lines = (line.strip() for line in answer_text(text).split("\n"))
    if not any(line and not line.startswith(("#", "//", "```")) for line in lines):
        return no_program(text)
    program = problem.prompt + without_end_mark(text)
    fences = islice(_CLOSING_FENCE.finditer(program, len(problem.prompt)), _MAX_FENCES)
    cuts = [program[: fence.start()] for fence in fences]
    cuts = [cut for cut in cuts if cut[len(problem.prompt) :].strip()]
    match problem.language:
        case "python" | "javascript" as language:  # whose texts may hold a fence
            sound = parses if language == "python" else javascript.is_sound
            return CandidateReading(next((text for text in (program, *cuts) if sound(text)), program))
        case _:
            return CandidateReading(next(iter(cuts), program))


def pattern_language(name: str) -> PatternLanguage:
    """Patterns of a language that is not parsed.

    Raises:
        UserError: the language is unknown.
    """
    if name == "javascript":
        return PatternLanguage(
            name, javascript.TAGS, javascript.is_sound, javascript.without_javascript_usage
        )
    return PatternLanguage(name, (name, *registry.language(name).tags, ""))


def normal_form(code: str, language: str = "python", kind: TestKind = TestKind.UNITTEST) -> str:
    """Normal form of a test, equal for tests that differ in comments and layout only.

    Args:
        code: code of the test.
        language: language of the test, as in `Problem.language`.
        kind: form of the test.

    Raises:
        UserError: the language is unknown.
    """
    return stdin_normal_form(code) if kind is TestKind.STDIN else _language(language).normal_form(code)


def _language(name: str) -> _Language:
    if name in _LANGUAGES:
        return _LANGUAGES[name]
    tags = (name, *registry.language(name).tags, "")

    def extract_test(text: str, entry_point: str) -> tuple[str, TestKind]:
        text = answer_text(text)
        blocks = [block.code for block in code_blocks(text, tags, bool)] or [text]
        found = next((block for block in blocks if entry_point in block), None)
        if found is None:
            raise UnusableError(Rejection.ENTRY_POINT_UNUSED)
        return found, TestKind.UNITTEST

    return _Language(tags, extract_test, _without_blank_lines)


def _without_blank_lines(code: str) -> str:
    return "\n".join(line.rstrip() for line in code.splitlines() if line.strip())

"""Rows of a training batch: the program in a completion, and the tests of its problem."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from testbudget.executors.execution.pair_blocks import PairRequest
from testbudget.executors.generation.extraction.extract import read_candidate
from testbudget.executors.generation.extraction.usable_tests import reason_to_reject
from testbudget.executors.generation.prompts import AnswerForm, AnswerPurpose, PromptTemplate
from testbudget.rewards.comparison import Comparison
from testbudget.rewards.errors import UserError
from testbudget.rewards.problem import GroundTruth, Problem, TestKind
from testbudget.traces.forms.called_names import only_called_name
from testbudget.traces.forms.truths import ground_truth_of
from testbudget.traces.rows.mistakes import RowError

AnswerName = Literal["code_block", "continues_prompt"]


@dataclass(frozen=True, slots=True)
class RowSettings:
    """Reading of the rows of a batch.

    Attributes:
        tests: column of the tests; None if a model writes them.
        entry_point: column of the entry points.
        answer: place of the program in a completion.
        language: language of all programs.
        comparison: comparison of expected and printed texts.
    """

    tests: str | None
    entry_point: str
    answer: AnswerName
    language: str
    comparison: Comparison


@dataclass(frozen=True, slots=True)
class RewardRow:
    """A completion as a program, with its tests.

    Attributes:
        problem: the problem; equal in all rows of a group.
        program: the program in the completion.
        written: False if the completion holds no program.
    """

    problem: Problem
    program: str
    written: bool

    @property
    def truth(self) -> GroundTruth:
        """Tests of the problem."""
        assert self.problem.ground_truth is not None
        return self.problem.ground_truth

    def requests(self) -> list[PairRequest]:
        """A pair for each test; none if the completion holds no program."""
        problem, truth = self.problem, self.truth
        tests = truth.tests if self.written else ()
        entry_point = None if truth.kind is TestKind.STDIN else problem.entry_point
        return [
            PairRequest(self.program, test, truth.kind, problem.language, entry_point, problem.comparison)
            for test in tests
        ]


def read_rows(
    prompts: Sequence[Any],
    completions: Sequence[Any],
    columns: Mapping[str, Sequence[Any]],
    settings: RowSettings,
) -> tuple[list[RewardRow | None], list[str]]:
    """Rows of a batch, None for one without tests; and sentences on tests that no program can pass.

    Such tests are left out.

    Args:
        prompts: prompt of each completion: a text, or the messages of a conversation.
        completions: texts, or lists of messages, of which those of the assistant count.
        columns: further columns of the batch.
        settings: columns and forms.

    Raises:
        UserError: the column of tests is missing, a row of it has none of the forms of tests, no program
            can pass any of the tests, or prompts, completions and columns differ in length.
    """
    if settings.tests is not None and settings.tests not in columns:
        known = ", ".join(sorted(columns)) or "no columns"
        raise UserError(f"tests must be a column of the batch but got {settings.tests!r}; it has {known}")
    for name, values in {"prompts": prompts, **columns}.items():
        if name in ("prompts", settings.tests, settings.entry_point) and len(values) != len(completions):
            raise UserError(
                f"{name} must have a value for each completion but it has {len(values)} for "
                f"{len(completions)} completions"
            )
    template = PromptTemplate(
        "reward", AnswerPurpose.CANDIDATE, chat=False, answer=AnswerForm(settings.answer), text="{question}"
    )
    absent = [None] * len(completions)
    of_rows = absent if settings.tests is None else columns[settings.tests]
    entry_points = columns.get(settings.entry_point, absent)
    problems: dict[str, Problem | None] = {}
    useless: list[str] = []
    rows: list[RewardRow | None] = []
    for number, (prompt, completion, tests, entry_point) in enumerate(
        zip(prompts, completions, of_rows, entry_points, strict=True)
    ):
        fields = (_prompt_text(prompt), _plain(tests), _plain(entry_point))
        key = json.dumps(fields, default=repr)
        if key not in problems:
            problems[key] = _problem(number, *fields, settings, useless)
        problem = problems[key]
        if problem is None:
            rows.append(None)
            continue
        reading = read_candidate(template, problem, completion_text(completion, number))
        rows.append(RewardRow(problem, reading.code, reading.has_program))
    if useless and not any(rows):
        raise UserError(
            f"{settings.tests} must hold tests that a program can pass but has none: {useless[0]}"
        )
    return rows, useless


def completion_text(completion: Any, number: int) -> str:
    """Text of a completion: itself, or that of the assistant's messages.

    Raises:
        UserError: it is neither a text nor a list of messages.
    """
    if isinstance(completion, str):
        return completion
    if isinstance(completion, Mapping):
        completion = [completion]
    if not isinstance(completion, Sequence) or not all(isinstance(one, Mapping) for one in completion):
        kind = type(completion).__name__
        raise UserError(f"completions must be texts or lists of messages but row {number} is {kind}")
    written = [one for one in completion if one.get("role", "assistant") == "assistant"]
    return "\n".join(_content(one.get("content")) for one in written)


def _prompt_text(prompt: Any) -> str:
    """Text of a prompt: itself, or the last message of the user."""
    if isinstance(prompt, str) or not isinstance(prompt, Sequence):
        return prompt if isinstance(prompt, str) else ""
    asked = [one for one in prompt if isinstance(one, Mapping) and one.get("role") == "user"]
    return _content(asked[-1].get("content")) if asked else ""


def _content(content: Any) -> str:
    """Text of a message, whose content may be a list of parts."""
    if isinstance(content, Sequence) and not isinstance(content, str):
        return "".join(str(part.get("text", "")) for part in content if isinstance(part, Mapping))
    return content if isinstance(content, str) else ""


def _plain(value: Any) -> Any:
    """The value with arrays as lists, as tables hold them."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {name: _plain(one) for name, one in value.items() if one is not None}
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value


def _problem(
    number: int, prompt: str, tests: Any, entry_point: Any, settings: RowSettings, useless: list[str]
) -> Problem | None:
    """Problem of a row; None without tests. Sentences on tests that no program can pass join the list."""
    name = entry_point if isinstance(entry_point, str) and entry_point.strip() else None
    if settings.tests is None:
        return Problem(str(number), prompt, name, settings.language, None, settings.comparison)
    try:
        truth = ground_truth_of(tests, name, settings.comparison, settings.language)
    except RowError as error:
        sentence = str(error).replace("ground_truth", settings.tests)
        raise UserError(f"row {number} of the batch: {sentence}") from None
    if truth is None:
        return None
    if truth.kind is TestKind.STDIN:
        name = None
    else:
        if settings.language == "python":
            name = name or only_called_name(truth.tests)
        kept, found = _part_tests(number, truth, name, settings.language)
        useless += found
        if not kept:
            return None
        truth = replace(truth, tests=kept)
    return Problem(str(number), prompt, name, settings.language, truth, settings.comparison)


def _part_tests(
    number: int, truth: GroundTruth, name: str | None, language: str
) -> tuple[tuple[str, ...], list[str]]:
    """Tests that a program may pass, and a sentence on each of the others."""
    kept, useless = [], []
    for test in truth.tests:
        if (reason := reason_to_reject(test, truth.kind, language, name)) is None:
            kept.append(test)
        else:
            useless.append(f"that of row {number} {reason}: {test[:60]!r}")
    return tuple(kept), useless

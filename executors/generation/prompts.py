"""Prompt templates: YAML files with the text of a prompt and the form of the answer."""

import re
from dataclasses import dataclass
from enum import StrEnum
from importlib.resources import files
from pathlib import Path
from typing import ClassVar

import yaml
from pydantic import ConfigDict, TypeAdapter, ValidationError

from testbudget.executors.generation.base import Prompt
from testbudget.rewards.errors import UserError, one_line, validation_sentence
from testbudget.rewards.problem import Problem

TEMPLATE_NAMES = (
    "chat",
    "chat_javascript",
    "coderm",
    "coderm_javascript",
    "completion",
    "inputs",
    "program",
    "stdin",
    "stdin_completion",
    "stdin_inputs",
)
"""Names of the templates of the package, in ``templates/NAME.yaml``."""

_PLACEHOLDER = re.compile(r"\{(question|solution|language|entry_point|count)\}")
_NAMES_OF_LANGUAGES = {"javascript": "JavaScript", "typescript": "TypeScript", "cpp": "C++"}


class AnswerPurpose(StrEnum):
    """Program that an answer holds.

    Attributes:
        CANDIDATE: the answer holds a candidate.
        UNIT_TEST: the answer holds a unit test, a program.
        STDIN_TEST: the answer holds inputs of a program and its expected outputs.
        INPUTS: the answer holds inputs without expected values, for functions or for programs.
    """

    CANDIDATE = "candidate"
    UNIT_TEST = "unit_test"
    STDIN_TEST = "stdin_test"
    INPUTS = "inputs"


class AnswerForm(StrEnum):
    """Place of the code in an answer.

    Attributes:
        CONTINUES_PROMPT: the code is the problem's prompt followed by the answer.
        CODE_BLOCK: the code is the fenced block of the answer, or the whole answer if it has none.
    """

    CONTINUES_PROMPT = "continues_prompt"
    CODE_BLOCK = "code_block"


@dataclass(frozen=True, slots=True)
class PromptTemplate:
    """Prompt for one kind of model and one purpose.

    Attributes:
        name: name in jobs and reports.
        purpose: program that an answer holds.
        chat: True if the text is one user message of a chat, False if it is bare text to continue.
        answer: place of the code in the answer.
        text: text with ``{question}`` for the problem's prompt, ``{solution}`` for a candidate's code,
            ``{language}`` for the name of the problem's language, ``{entry_point}`` for its entry point
            and ``{count}`` for the number of inputs to write; all other braces are literal.
        language: programming language that the text asks for, in lower case; None for that of the problem.
        stop: strings that end the answer.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    name: str
    purpose: AnswerPurpose
    chat: bool
    answer: AnswerForm
    text: str
    language: str | None = None
    stop: tuple[str, ...] = ()

    @property
    def shows_solution(self) -> bool:
        """True if the text contains ``{solution}``, so that `render` needs a candidate."""
        return "{solution}" in self.text

    def render(self, problem: Problem, solution: str | None = None, count: int = 1) -> Prompt:
        """Prompt for a problem.

        Args:
            problem: problem whose prompt replaces ``{question}``.
            solution: code of one of its candidates, which replaces ``{solution}``.
            count: number of inputs to write, which replaces ``{count}``.

        Raises:
            UserError: the template shows a solution and ``solution`` is None.
        """
        if self.shows_solution and solution is None:
            raise UserError(
                f"prompt template {self.name!r} shows a solution, so each problem needs a candidate, "
                f"but {problem.id!r} has none"
            )
        values = {"question": problem.prompt, "solution": solution or ""}
        if self.chat:  # the template sets blank lines; a prompt to be continued must stay unchanged
            values = {name: value.strip("\n") for name, value in values.items()}
        # In one pass: placeholders in the text of the problem are not replaced.
        name = problem.language
        values |= {"entry_point": problem.entry_point or "", "count": str(count)}
        values["language"] = _NAMES_OF_LANGUAGES.get(name, name.capitalize())
        return Prompt(_PLACEHOLDER.sub(lambda match: values[match[1]], self.text), self.chat)


def prompt_template(name_or_path: str) -> PromptTemplate:
    """Template of the package by its name, or template of the user by the path of its YAML file.

    Raises:
        UserError: the name is unknown, or the file is missing or not a template.
    """
    if "/" in name_or_path or name_or_path.endswith((".yaml", ".yml")):
        try:
            text = Path(name_or_path).read_text(encoding="utf-8")
        except OSError as error:
            raise UserError(f"prompt template {name_or_path} cannot be read: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise UserError(f"prompt template {name_or_path} must be UTF-8 but is not") from error
        return _parse(name_or_path, text)
    if name_or_path not in TEMPLATE_NAMES:
        raise UserError(
            f"prompt template must be one of {', '.join(TEMPLATE_NAMES)} or the path of a .yaml file, "
            f"but got {name_or_path!r}"
        )
    file = files(__package__).joinpath("templates", f"{name_or_path}.yaml")
    return _parse(name_or_path, file.read_text(encoding="utf-8"))


def _parse(origin: str, text: str) -> PromptTemplate:
    try:
        template = TypeAdapter(PromptTemplate).validate_python(yaml.safe_load(text))
    except yaml.YAMLError as error:
        raise UserError(f"prompt template {origin} is not YAML: {one_line(error)}") from error
    except ValidationError as error:
        raise UserError(f"prompt template {origin}: {validation_sentence(error).strip()}") from error
    if fault := _fault(template):
        raise UserError(f"prompt template {origin}: {fault}")
    return template


def _fault(template: PromptTemplate) -> str | None:
    """Contradiction between fields of a template; None if there is none."""
    if "{question}" not in template.text:
        return "text must contain {question}"
    if template.purpose is AnswerPurpose.CANDIDATE and template.shows_solution:
        return "text of a template for candidates must not contain {solution}"
    if template.answer is AnswerForm.CONTINUES_PROMPT:
        if template.purpose is not AnswerPurpose.CANDIDATE:
            return "answer must be code_block for tests, because a test does not continue the problem"
        if template.chat or not template.text.endswith("{question}"):
            return "answer may be continues_prompt only where chat is false and text ends with {question}"
    return None

"""Prompt templates: data files that say how a model is asked and how its answer becomes code."""

import re
from dataclasses import dataclass
from enum import StrEnum
from importlib.resources import files
from pathlib import Path
from typing import ClassVar

import yaml
from pydantic import ConfigDict, TypeAdapter, ValidationError

from testbudget.executors.generation.base import Prompt
from testbudget.rewards.errors import UserError, one_line
from testbudget.rewards.problem import Problem

_PLACEHOLDER = re.compile(r"\{(question|solution)\}")


class Purpose(StrEnum):
    """What the answer to a prompt is used as."""

    CANDIDATE = "candidate"
    UNIT_TEST = "unit_test"


class AnswerForm(StrEnum):
    """How code is read out of an answer.

    ``CONTINUES_PROMPT``: the code is the problem's prompt followed by the answer. ``CODE_BLOCK``: the
    code is the fenced block of the answer, or all of it where it has none.
    """

    CONTINUES_PROMPT = "continues_prompt"
    CODE_BLOCK = "code_block"


@dataclass(frozen=True, slots=True)
class PromptTemplate:
    """How one kind of model is asked for one kind of thing.

    Attributes:
        name: how jobs and reports call it.
        purpose: what it asks for.
        language: programming language of the answer, in lower case.
        chat: whether the text is one user message of a chat, or bare text to continue.
        answer: how code is read out of the answer.
        text: with ``{question}`` where the problem's prompt goes and ``{solution}`` where a candidate's
            code goes; all other braces stand for themselves.
        stop: strings that end the answer.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    name: str
    purpose: Purpose
    language: str
    chat: bool
    answer: AnswerForm
    text: str
    stop: tuple[str, ...] = ()

    @property
    def shows_solution(self) -> bool:
        """Whether rendering needs a candidate."""
        return "{solution}" in self.text

    def render(self, problem: Problem, solution: str | None = None) -> Prompt:
        """The prompt for a problem.

        Args:
            problem: what is asked about.
            solution: code of one of its candidates, for a template that shows one.

        Raises:
            UserError: the template shows a solution and there is none.
        """
        if self.shows_solution and solution is None:
            raise UserError(
                f"prompt template {self.name!r} shows a solution, so each problem needs a candidate, "
                f"but {problem.id!r} has none"
            )
        values = {"question": problem.prompt, "solution": solution or ""}
        if self.chat:  # the template sets the blank lines; a prompt to be continued must not be touched
            values = {name: value.strip("\n") for name, value in values.items()}
        # In one pass: placeholders inside the problem's own text stay as they are.
        return Prompt(_PLACEHOLDER.sub(lambda match: values[match[1]], self.text), self.chat)


def prompt_template(name_or_path: str) -> PromptTemplate:
    """A template that comes with the package, by name, or one's own, by the path of its YAML file.

    Raises:
        UserError: the name is unknown, or the file is missing or no template.
    """
    if "/" in name_or_path or name_or_path.endswith((".yaml", ".yml")):
        try:
            text = Path(name_or_path).read_text(encoding="utf-8")
        except OSError as error:
            raise UserError(f"prompt template {name_or_path} cannot be read: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise UserError(f"prompt template {name_or_path} must be UTF-8 but is not") from error
        return _parse(name_or_path, text)
    folder = files(__package__).joinpath("templates")
    known = {
        file.name.removesuffix(".yaml"): file for file in folder.iterdir() if file.name.endswith(".yaml")
    }
    if name_or_path not in known:
        raise UserError(
            f"prompt template must be one of {', '.join(sorted(known))} or the path of a .yaml file, "
            f"but got {name_or_path!r}"
        )
    return _parse(name_or_path, known[name_or_path].read_text(encoding="utf-8"))


def _parse(origin: str, text: str) -> PromptTemplate:
    try:
        template = TypeAdapter(PromptTemplate).validate_python(yaml.safe_load(text))
    except yaml.YAMLError as error:
        raise UserError(f"prompt template {origin} is no YAML: {one_line(error)}") from error
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "the file"
        raise UserError(f"prompt template {origin}: {field}: {first['msg']}") from error
    if fault := _fault(template):
        raise UserError(f"prompt template {origin}: {fault}")
    return template


def _fault(template: PromptTemplate) -> str | None:
    """What is wrong with the fields taken together."""
    if "{question}" not in template.text:
        return "text must contain {question}"
    if template.purpose is Purpose.CANDIDATE and template.shows_solution:
        return "text of a template for candidates must not contain {solution}"
    if template.answer is AnswerForm.CONTINUES_PROMPT:
        if template.purpose is not Purpose.CANDIDATE:
            return "answer must be code_block for unit tests, for a test does not continue the problem"
        if template.chat or not template.text.endswith("{question}"):
            return "answer may be continues_prompt only where chat is false and text ends with {question}"
    return None

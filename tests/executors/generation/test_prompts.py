"""Prompt templates of the package, and errors of invalid ones."""

from importlib.resources import files

import pytest

from testbudget.executors.generation.base import Prompt
from testbudget.executors.generation.extraction.answers import Rejection
from testbudget.executors.generation.extraction.extract import extract_unit_test
from testbudget.executors.generation.prompts import (
    TEMPLATE_NAMES,
    AnswerForm,
    AnswerPurpose,
    prompt_template,
)
from testbudget.rewards.errors import UserError
from testbudget.rewards.problem import Problem

PROBLEM = Problem("p/1", 'def f(x):\n    """Braces: {x} {solution} {question} {} {{"""\n', "f")

OWN = """\
name: own
purpose: unit_test
language: python
chat: true
answer: code_block
text: "Test this: {question}"
"""


@pytest.fixture
def own(tmp_path):
    def write(text):
        path = tmp_path / "own.yaml"
        path.write_text(text, encoding="utf-8")
        return str(path)

    return write


def test_the_coderm_template_is_the_published_prompt():
    assert prompt_template("coderm").render(Problem("p", "QUESTION\n", "f"), "SOLUTION\n") == Prompt(
        "Below is a question and it's corresponding code answer. Please write test cases to check the "
        "correctness of the code answer. You need to use the unittest library in Python and create a test "
        "class for testing.\n\n### question\nQUESTION\n\n### code solution\nSOLUTION\n\nPlease add "
        "detailed comments to the test cases you write. You do not need to test the function's ability to "
        "throw exceptions.",
        chat=True,
    )


def test_the_coderm_template_stops_at_a_call_of_the_test_runner():
    assert prompt_template("coderm").stop == ("\nif __name__", "\nunittest.main(")


def test_the_completion_template_is_the_unchanged_prompt_of_the_problem():
    template = prompt_template("completion")
    assert template.render(PROBLEM) == Prompt(PROBLEM.prompt, chat=False)
    assert template.purpose is AnswerPurpose.CANDIDATE
    assert template.answer is AnswerForm.CONTINUES_PROMPT
    assert {"\ndef ", "\nclass ", "\nif ", "\nprint(", "\n#", "\n```"} <= set(template.stop)


def test_the_chat_template_requests_a_code_block_without_stop_strings():
    template = prompt_template("chat")
    assert template.render(PROBLEM).chat
    assert template.answer is AnswerForm.CODE_BLOCK
    assert template.stop == ()


@pytest.mark.parametrize(("language", "name"), [("python", "Python"), ("cpp", "C++"), ("go", "Go")])
def test_templates_of_programs_name_the_language_of_the_problem(language, name):
    problem = Problem("p", "Double a number.", None, language)
    assert f"a {name} program" in prompt_template("program").render(problem).text
    text = prompt_template("stdin").render(problem, "print(1)").text
    assert f"a {name} program" in text
    assert text.endswith("Output:\n```\n(the output)\n```")


def test_the_form_that_the_template_of_inputs_shows_is_no_test():
    for name in ("stdin", "stdin_completion"):
        template = prompt_template(name)
        assert template.purpose is AnswerPurpose.STDIN_TEST
    shown = prompt_template("stdin").render(Problem("p", "Double."), "print(1)").text
    assert extract_unit_test(shown, None).rejection is Rejection.NO_INPUT_AND_OUTPUT


def test_braces_and_placeholders_in_the_problem_are_literal():
    text = prompt_template("coderm").render(PROBLEM, "def f(x): return '{question}'").text
    assert "Braces: {x} {solution} {question} {} {{" in text
    assert "return '{question}'" in text


def test_a_template_that_shows_a_solution_needs_one():
    with pytest.raises(UserError, match=r"'coderm' shows a solution.*'p/1' has none"):
        prompt_template("coderm").render(PROBLEM)


def test_a_template_of_the_user_is_read_by_its_path(own):
    template = prompt_template(own(OWN))
    assert template.name == "own"
    assert template.render(PROBLEM).text.startswith("Test this: def f(x):")


def test_an_unknown_name_is_a_user_error_that_lists_the_known_ones():
    with pytest.raises(UserError, match=r"one of chat, chat_javascript, coderm, .* or the path.*'codrem'"):
        prompt_template("codrem")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: [", "is not YAML"),
        ("just words", "must hold fields but got 'just words'"),
        (
            OWN.replace("purpose: unit_test", "purpose: poem"),
            "purpose must be one of candidate, unit_test, stdin_test, inputs but got 'poem'",
        ),
        (OWN.replace("chat: true\n", ""), "chat is required but it is missing"),
        (OWN + "temperature: 1\n", "temperature is not a known field"),
        (OWN.replace("{question}", "it"), r"text must contain \{question\}"),
        (
            OWN.replace("unit_test", "candidate").replace("{question}", "{question}{solution}"),
            "must not contain",
        ),
        (OWN.replace("code_block", "continues_prompt"), "answer must be code_block for tests"),
        (
            OWN.replace("code_block", "continues_prompt").replace("unit_test", "candidate"),
            "continues_prompt only where chat is false",
        ),
    ],
)
def test_an_invalid_template_is_a_user_error_that_names_the_field(own, text, message):
    with pytest.raises(UserError, match=f"prompt template .*own.yaml.*{message}"):
        prompt_template(own(text))


def test_a_missing_file_is_a_user_error(tmp_path):
    with pytest.raises(UserError, match="cannot be read: No such file"):
        prompt_template(str(tmp_path / "none.yaml"))


def test_a_file_that_is_not_text_is_a_user_error(tmp_path):
    path = tmp_path / "binary.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="must be UTF-8"):
        prompt_template(str(path))


def test_the_known_names_are_the_files_in_the_package():
    folder = files("testbudget.executors.generation").joinpath("templates")
    assert sorted(f"{name}.yaml" for name in TEMPLATE_NAMES) == sorted(
        file.name for file in folder.iterdir()
    )

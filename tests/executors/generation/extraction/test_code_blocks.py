"""Blocks of code in answers, fenced in the ways that models fence them."""

import pytest

from testbudget.executors.generation.extraction.code_blocks import (
    answer_text,
    code_blocks,
    without_end_mark,
)
from testbudget.executors.generation.extraction.python_statements import parses

CODE = "def f(x):\n    return x + 1"
TAGS = ("python", "py", "")


def codes(text):
    return [block.code for block in code_blocks(answer_text(text), TAGS, parses)]


@pytest.mark.parametrize(
    "text",
    [
        f"```python\n{CODE}\n```",
        f"Words.\n\n```Python\n{CODE}\n```\nMore words.",
        f"````py\n{CODE}\n````",
        f"~~~\n{CODE}\n~~~",
        f"```python title=f.py\n{CODE}\n```",
        f"```python\r\n{CODE}\r\n```".replace("\n", "\r\n"),
        f"\ufeff```python\n\ufeff{CODE}\n```",
        f"```python\n{CODE}",
        f"```python\n{CODE}```",
        f"Here it is: ```python\n{CODE}\n```",
        "1. First:\n\n   ```python\n   def f(x):\n       return x + 1\n   ```\n",
        "> ```python\n> def f(x):\n>     return x + 1\n> ```",
        f"<answer>```python\n{CODE}\n```</answer>",
        f"<answer>\n```python\n{CODE}\n```\n</answer>",
        f"<code>\n{CODE}\n</code>",
        f"[PYTHON]\n{CODE}\n[/PYTHON]",
        f"<think>```python\npass\n```</think>\n```python\n{CODE}\n```",
        f"```bash\npip install f\n```\n```python\n{CODE}\n```\n```text\n2\n```",
    ],
)
def test_one_block_is_found_however_it_is_fenced(text):
    assert codes(text) == [CODE]


def test_a_fence_on_one_line_holds_a_block():
    assert codes("Use ```python f = abs``` here.\n```python f = abs```") == ["f = abs"]


@pytest.mark.parametrize("inner", ["```", "```python", "~~~"])
def test_a_fence_within_a_string_does_not_end_the_block(inner):
    code = f'def f(x):\n    """\n    {inner}\n    f(1)\n    ```\n    """\n    return x'
    assert codes(f"```python\n{code}\n```\nWords.\n```python\npass\n```") == [code, "pass"]


def test_a_block_that_never_parses_ends_at_its_first_closing_fence():
    blocks = code_blocks("```python\nx = (\n```\n```\ny = 1\n```\n", TAGS, parses)
    assert [(block.code, block.parses) for block in blocks] == [("x = (", False), ("y = 1", True)]


def test_prose_has_no_blocks():
    assert codes("There is no code here, only `f(x)`.") == []


@pytest.mark.parametrize(
    "mark",
    [
        "<|endoftext|>",
        "<|im_start|>user",
        "<\uff5cend\u2581of\u2581sentence\uff5c>",
        "<end_of_turn>",
        "</s>",
    ],
)
def test_a_text_ends_at_the_end_mark_of_the_model(mark):
    assert without_end_mark(f"{CODE}\n{mark}\nmore") == f"{CODE}\n"

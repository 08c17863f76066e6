"""Sources of problems as texts and as values."""

from pathlib import Path

import pytest

from testbudget.rewards.errors import UserError
from testbudget.traces.forms.registry import FORMS
from testbudget.traces.problem_source import PRESETS, ProblemSource, source_from_folder


@pytest.mark.parametrize(
    "source",
    [
        ProblemSource("humaneval"),
        ProblemSource("rows.jsonl"),
        ProblemSource("rows.jsonl", "mbpp"),
        ProblemSource("a:b.jsonl"),
        ProblemSource("rows", "apps", {"id": "name"}, "train", "cpp"),
        ProblemSource("hub:owner/name", None, {}, "train"),
    ],
)
def test_a_source_survives_as_text(source):
    assert ProblemSource.from_text(source.as_text()) == source


def test_a_prefix_names_the_form():
    assert ProblemSource.of("mbpp:rows.jsonl") == ProblemSource("rows.jsonl", "mbpp")
    assert ProblemSource.of("mbpp:rows.jsonl", "mbpp") == ProblemSource("rows.jsonl", "mbpp")
    with pytest.raises(
        UserError, match=r"^preset must be mbpp, as in mbpp:rows\.jsonl, or left out, but got apps$"
    ):
        ProblemSource.of("mbpp:rows.jsonl", "apps")


@pytest.mark.parametrize(
    ("text", "placed"),
    [
        ("humaneval", "humaneval"),
        ("rows.jsonl", "/runs/rows.jsonl"),
        ("mbpp:rows.jsonl", "mbpp:/runs/rows.jsonl"),
        ("/own/rows.jsonl", "/own/rows.jsonl"),
        ("hub:owner/name", "hub:owner/name"),
    ],
)
def test_a_relative_path_is_taken_from_a_folder(text, placed):
    assert source_from_folder(text, Path("/runs")) == placed


def test_every_preset_is_a_form():
    assert set(PRESETS) == set(FORMS)

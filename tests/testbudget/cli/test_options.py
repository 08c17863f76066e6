"""Flags from models: every field, its type, bounds and default, and only the values that were given."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from testbudget.cli.main import build_app, main
from testbudget.cli.options import leaf_fields
from testbudget.scheduler.job import Job

ROOT = Path(__file__).parents[3]


def given(*flags) -> dict:
    _, bound, _ = build_app("run").parse_args(
        ["run", "job.yaml", *flags], exit_on_error=False, print_error=False
    )
    return bound.kwargs.get("flags", {})


@pytest.fixture(scope="module")
def help_of_run() -> str:
    """Help of ``run`` on a wide terminal, from a process of its own: the parser keeps the first width."""
    wide = os.environ | {"COLUMNS": "400", "LINES": "100"}
    command = [sys.executable, "-m", "testbudget", "run", "--help"]
    return subprocess.run(command, env=wide, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_help_of_run_shows_every_field_with_its_description(help_of_run):
    text = help_of_run
    fields = list(leaf_fields(Job))
    assert len(fields) > 70
    assert [name for name, _ in fields if f"--{name.replace('_', '-')} " not in text] == []
    assert [name for name, field in fields if not field.description] == []
    assert [name for name, field in fields if " ".join(field.description.split()) not in text] == []


def test_help_shows_types_choices_bounds_and_defaults(help_of_run):
    lines = {line.split()[1]: line for line in help_of_run.splitlines() if " --" in line}
    assert "[choices: ray, in_process, recorded]" in lines["--backend"]
    assert "at least 1" in lines["--cap.tests"]
    assert "[default: 0.8]" in lines["--candidates.model.temperature"]
    assert "[default: yes]" in lines["--policy.stop-when-harmful"]


@pytest.mark.parametrize(
    ("flags", "values"),
    [
        ([], {}),
        (["--cap.tests", "5"], {"cap.tests": 5}),
        (["--cap.cpu-seconds=1.5"], {"cap.cpu_seconds": 1.5}),
        (["--policy.no-stop-when-harmful"], {"policy.stop_when_harmful": False}),
        (["--hidden-states.layers", "1,2"], {"hidden_states.layers": [1, 2]}),
        (["--sandbox.require", "net", "--sandbox.require", "pid"], {"sandbox.require": ["net", "pid"]}),
        (["--problems.ids", "a/1,b/2"], {"problems.ids": ["a/1", "b/2"]}),
        (["--hidden-states.layers", "none"], {"hidden_states.layers": None}),
        (["--policy.max-tests", "none"], {"policy.max_tests": None}),
        (["--tests.model.engine", "{max_num_seqs: 8}"], {"tests.model.engine": {"max_num_seqs": 8}}),
    ],
)
def test_only_what_was_given_is_handed_over(flags, values):
    assert given(*flags) == values


def test_a_flag_that_a_rule_of_the_job_refuses_is_one_sentence_without_its_secret(capsys):
    job = str(ROOT / "examples" / "own_problems" / "served.yaml")
    for flags, sentence in (
        (["--tests.model.base-url", "http://me:pw@host/v1"], "base_url must hold no user, password"),
        (["--tests.model.api-key-env", "sk-pw"], "api_key_env must be the name of an environment variable"),
        (["--cap.prices.models", "{m: {prompt_tokens: 1}}"], "models.m.completion_tokens is required"),
    ):
        assert main(["run", job, *flags]) == 2
        said = capsys.readouterr().err
        assert sentence in said
        assert said.count("\n") == 1
        assert "pw" not in said


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--hidden-states.layers", "1,x"], "--hidden-states.layers must be a whole number but got 'x'"),
        (["--sandbox.require", "net,moon"], "but got 'moon'"),
        (["--cap.usd", "nan"], "--cap.usd must be a number but got 'nan'"),
        (["--tests.model.engine", "8"], "--tests.model.engine must be a mapping in YAML but got '8'"),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused(flags, sentence, capsys):
    assert main(["run", "job.yaml", *flags]) == 2
    assert sentence in capsys.readouterr().err

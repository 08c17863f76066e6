"""Starting costs nothing: help, mistakes and the import itself load none of the large libraries."""

import subprocess
import sys

import pytest

from testbudget.cli.main import COMMANDS

HEAVY = ("numpy", "scipy", "pyarrow", "torch", "ray", "sklearn", "optuna", "matplotlib", "jinja2", "yaml")


def loaded(code: str, *arguments: str) -> set[str]:
    """Top-level modules that a program of a new process has loaded at its end."""
    program = f"import sys\n{code}\nprint('\\n' + ' '.join(sys.modules))"
    ended = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True
    )
    return {name.partition(".")[0] for name in ended.stdout.splitlines()[-1].split()}


def test_importing_the_package_loads_nothing_but_itself():
    assert not loaded("import testbudget") & {*HEAVY, "pydantic", "rich", "cyclopts"}


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_no_help_loads_a_large_library(command):
    words = [command, "--help"] if command else ["--help"]
    assert not loaded(f"from testbudget.cli.main import main\nassert main({words!r}) == 0") & {*HEAVY}


def test_a_mistake_in_a_job_file_is_found_before_a_large_library_is_loaded(tmp_path):
    (tmp_path / "job.yaml").write_text("cap: {test: 5}\n")
    words = ["run", str(tmp_path / "job.yaml")]
    found = loaded(f"from testbudget.cli.main import main\nassert main({words!r}) == 2")
    assert found & {*HEAVY} == {"yaml"}


def test_settings_and_errors_are_public_without_what_uses_them():
    names = "CompareSettings, StudySettings, Job, TestLimits, UserError"
    assert not loaded(f"from testbudget import {names}") & {*HEAVY}

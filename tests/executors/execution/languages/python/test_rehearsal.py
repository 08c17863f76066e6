"""The rehearsal leaves nothing behind that a program could notice."""

import logging
import os
import random
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest

from testbudget.executors.execution.languages.python.judge_audit import judge_audit
from testbudget.executors.execution.languages.python.rehearsal import rehearse
from testbudget.executors.execution.limits import TestLimits
from testbudget.executors.execution.processes.process import ProcessRunner


def _state() -> dict[str, Any]:
    return {
        "modules": dict(sys.modules),
        "streams": (sys.stdin, sys.stdout, sys.stderr),
        "random": (random.getstate(), random.seed, random.getstate),
        "warnings": (list(warnings.filters), warnings.showwarning),
        "logging": logging.Logger.callHandlers,
        "descriptors": sorted(Path("/proc/self/fd").iterdir()),
        "environment": dict(os.environ),
        "directory": Path.cwd(),
        "recursion limit": sys.getrecursionlimit(),
        "children": "".join(
            sorted(path.read_text() for path in Path("/proc/self/task").glob("*/children"))
        ),
    }


def test_rehearsal_leaves_nothing_that_a_program_could_notice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    process_runner = ProcessRunner((), TestLimits(), str(tmp_path))
    before = _state()
    rehearse(process_runner)
    after = _state()
    for name, value in before.items():
        assert after[name] == value, name
    assert judge_audit().reason is None

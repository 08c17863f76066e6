"""The rehearsal leaves nothing behind that a program could notice."""

import logging
import multiprocessing
import os
import random
import sys
import warnings
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

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


def _rehearse(directory: Path) -> list[str]:
    """Rehearse as a template does; return the names of what it left otherwise than before."""
    os.chdir(directory)
    process_runner = ProcessRunner((), TestLimits(), str(directory))
    before = _state()
    rehearse(process_runner)
    after = _state()
    return [name for name, value in before.items() if after[name] != value] + (
        [reason] if (reason := judge_audit().reason) else []
    )


def test_rehearsal_leaves_nothing_that_a_program_could_notice(tmp_path: Path) -> None:
    """In a process of its own without other threads, since the end of a program waits for threads."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
        assert process.submit(_rehearse, tmp_path).result() == []

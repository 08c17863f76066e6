"""Parts of a benchmark, each in a process of its own that is ended when its time is up.

A part prints its figures as lines with one JSON object each. All other lines are for the reader.
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from own_processes import adopt_orphans, end_descendants

_LAST_SECONDS = 1.0  # for the last lines of a part that was ended


@dataclass(slots=True)
class PartResults:
    """Findings of several parts.

    Attributes:
        figures: figures by name.
        failures: for each part that failed, a sentence.
    """

    figures: dict[str, Any] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)


def run_parts(commands: Mapping[str, Sequence[str]], seconds: float) -> PartResults:
    """Run all parts at once, and end whatever is left of them when all have ended or the time is up.

    Every process that this one has started is ended: no other ``Popen`` may wait for one. Their temporary
    files are removed.

    Args:
        commands: command of each part, by its name.
        seconds: wall-seconds for all together.
    """
    adopt_orphans()
    with tempfile.TemporaryDirectory(prefix="parts-", ignore_cleanup_errors=True) as folder:
        return _run(commands, seconds, {**os.environ, "TMPDIR": folder})


def _run(
    commands: Mapping[str, Sequence[str]], seconds: float, environment: Mapping[str, str]
) -> PartResults:
    found, end = PartResults(), time.monotonic() + seconds
    processes = {
        name: subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, start_new_session=True, env=environment
        )
        for name, command in commands.items()
    }
    readers = [
        threading.Thread(target=_read, args=(process, found.figures), daemon=True)
        for process in processes.values()
    ]
    try:
        for reader in readers:
            reader.start()
        for name, process in processes.items():
            try:
                status = process.wait(max(0.0, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                found.failures.append(f"{name}: it was not done after {seconds:g} s")
                process.kill()
                process.wait()
                continue
            if status:
                found.failures.append(f"{name}: it ended with status {status}")
    finally:
        end_descendants(0.0)
    for reader in readers:
        reader.join(_LAST_SECONDS)
    return found


def _read(process: "subprocess.Popen[str]", figures: dict[str, Any]) -> None:
    """Take the figures of a part, and print them and all that it says."""
    assert process.stdout is not None
    for line in process.stdout:
        if not line.startswith("{"):
            sys.stdout.write(line)
        else:
            some = json.loads(line)
            figures |= some
            for key, value in some.items():
                text = f"{value:,.3f}" if isinstance(value, float) else str(value)
                print(f"{key:<28}{text:>14}")
        sys.stdout.flush()

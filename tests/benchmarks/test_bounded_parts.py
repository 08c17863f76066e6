"""Parts of a benchmark are ended in time, and what fails is named."""

import json
import subprocess
import sys
from pathlib import Path

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
RUN = """
import json, sys
from bounded_parts import run_parts
code = json.loads(sys.argv[1])
found = run_parts({name: [sys.executable, "-c", one] for name, one in code.items()}, float(sys.argv[2]))
print(json.dumps([found.figures, found.failures]))
"""


def results_of(parts, seconds):
    """All lines of a process that runs parts; it is ended if it hangs."""
    ended = subprocess.run(
        [sys.executable, "-c", RUN, json.dumps(parts), str(seconds)],
        cwd=BENCHMARKS,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    *lines, last = ended.stdout.splitlines()
    return lines, *json.loads(last)


def test_figures_of_all_parts_are_joined_and_shown():
    parts = {"a": "print('begun'); print('{\"speed\": 2.5}')", "b": "print('{\"same\": true}')"}
    lines, figures, failures = results_of(parts, 100)
    assert figures == {"speed": 2.5, "same": True}
    assert failures == []
    assert "begun" in lines
    assert [line.split() for line in lines if line.startswith("speed")] == [["speed", "2.500"]]


def test_a_part_that_hangs_is_ended_with_all_that_it_has_started_and_one_that_fails_is_named():
    hangs = (
        "import subprocess, sys, time; print('{\"x\": 1}', flush=True);"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(1000)']); time.sleep(1000)"
    )
    _, figures, failures = results_of({"slow": hangs, "broken": "raise SystemExit(3)"}, 2)
    assert failures == ["slow: it was not done after 2 s", "broken: it ended with status 3"]
    assert figures in ({"x": 1}, {})  # on a busy machine it is ended before it says anything

"""Runs of stdin programs per second: our runner beside plain processes, in one run, on one CPU.

python benchmarks/stdin.py [--quick]

Python programs are run beside a fresh ``python -I`` per run, C++ programs beside ``subprocess`` of the same
compiled program. The plain processes have limits of CPU time, address space and file size by ``setrlimit``
and none of our layers. Texts of Python programs are new in every block, so their compilation is in our
times. C++ programs are compiled before the clock starts, on either side. The last line is a JSON object
with all figures.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from testbudget.executors.execution.limits import TestLimits
from testbudget.executors.execution.runner import Runner
from testbudget.rewards.errors import UserError
from testbudget.rewards.problem import TestKind, UnitTest, Verdict
from testbudget.rewards.stdin_case import StdinCase

LIMITS = TestLimits(cpu_seconds=2.0)
SECONDS, QUICK_SECONDS = 120.0, 40.0
_CANDIDATES, _CASES = 8, 10  # of a block
_SAMPLE = 6  # runs of the plain method for each block
_COMPILE = ("g++", "-O2", "-std=gnu++20")

# Runs commands that it reads as JSON lines; answers with seconds and outputs.
_PLAIN = """
import json, resource, subprocess, sys, time
def limit():
    resource.setrlimit(resource.RLIMIT_CPU, (2, 2))
    resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
    resource.setrlimit(resource.RLIMIT_FSIZE, (16 << 20, 16 << 20))
for line in sys.stdin:
    command, inputs = json.loads(line)
    outputs, started = [], time.perf_counter()
    for text in inputs:
        done = subprocess.run(command, input=text.encode(), capture_output=True, preexec_fn=limit)
        outputs.append(done.stdout.decode())
    print(json.dumps([time.perf_counter() - started, outputs]), flush=True)
"""


class StdinProgram(NamedTuple):
    """Program in two languages, with its input for a number and the output.

    Attributes:
        name: what it does.
        python, cpp: its texts.
    """

    name: str
    python: str
    cpp: str


PROGRAMS = (
    StdinProgram(
        "sum",
        "n = int(input())\nprint(sum(map(int, input().split())))\n",
        '#include <cstdio>\nint main() { int n; long long s = 0, x; scanf("%d", &n);\n'
        'while (n--) { scanf("%lld", &x); s += x; } printf("%lld\\n", s); }\n',
    ),
    StdinProgram(
        "largest",
        "import sys\ndef main():\n    data = sys.stdin.read().split()\n    print(max(map(int, data[1:])))\n"
        "if __name__ == '__main__':\n    main()\n",
        "#include <iostream>\n#include <algorithm>\n#include <vector>\nint main() { int n; std::cin >> n;\n"
        "std::vector<long long> a(n); for (auto &x : a) std::cin >> x;\n"
        "std::cout << *std::max_element(a.begin(), a.end()) << std::endl; }\n",
    ),
    StdinProgram(
        "sorted",
        "import heapq\nn = int(input())\na = list(map(int, input().split()))\nheapq.heapify(a)\n"
        "print(*[heapq.heappop(a) for _ in range(n)])\n",
        "#include <iostream>\n#include <algorithm>\n#include <vector>\nint main() { int n; std::cin >> n;\n"
        "std::vector<long long> a(n); for (auto &x : a) std::cin >> x; std::sort(a.begin(), a.end());\n"
        "for (int i = 0; i < n; i++) std::cout << a[i] << ' '; std::cout << std::endl; }\n",
    ),
)
_ANSWERS = {"sum": sum, "largest": max, "sorted": lambda values: " ".join(map(str, sorted(values)))}


def stdin_cases_of(program: StdinProgram, block: int) -> list[StdinCase]:
    """Inputs of a block, with the outputs of the program."""
    cases = []
    for number in range(_CASES):
        values = [(7 * place + 13 * number + block) % 101 for place in range(20 + number)]
        text = f"{len(values)}\n{' '.join(map(str, values))}\n"
        cases.append(StdinCase(text, f"{_ANSWERS[program.name](values)}\n"))
    return cases


class PlainRuns:
    """Plain runs of commands, made by a lean process."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [_interpreter(), "-I", "-c", _PLAIN], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def seconds(self, command: Sequence[str], cases: Sequence[StdinCase]) -> float:
        """Seconds of a run of the command on each input; the outputs must be right."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([command, [case.stdin for case in cases]]) + "\n")
        self._process.stdin.flush()
        seconds, outputs = json.loads(self._process.stdout.readline())
        for case, output in zip(cases, outputs, strict=True):
            assert output.split() == (case.expected_stdout or "").split(), output
        return float(seconds)

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


BlockTimes = tuple[int, float, int, float]
"""Runs and seconds of ours, runs and seconds of plain processes."""


class StdinFigures(NamedTuple):
    """Figures of one language.

    Attributes:
        runs: runs of ours.
        milliseconds: of a run of ours, median of the blocks.
        plain_milliseconds: of a plain run, median of the blocks.
        times: ratio of the sums.
    """

    runs: int
    milliseconds: float
    plain_milliseconds: float
    times: float


def python_figures(plain: PlainRuns, seconds: float, folder: Path) -> StdinFigures:
    """Ours beside a fresh ``python -I`` per run."""
    with Runner(LIMITS) as runner:
        return _figures(_python_times(plain, runner, folder), seconds)


def cpp_figures(plain: PlainRuns, seconds: float, folder: Path) -> StdinFigures:
    """Ours beside a process of the compiled program per run."""
    with Runner(LIMITS, language="cpp") as runner:
        return _figures(_cpp_times(plain, runner, folder), seconds)


def _python_times(plain: PlainRuns, runner: Runner, folder: Path) -> Iterator[BlockTimes]:
    block = 0
    while True:
        for program in PROGRAMS:
            block += 1
            cases = stdin_cases_of(program, block)
            texts = [f"{program.python}# {block} {number}\n" for number in range(_CANDIDATES)]
            file = folder / "program.py"
            file.write_text(texts[0])
            command = [_interpreter(), "-I", str(file)]
            yield (*_block_seconds(runner, texts, cases), _SAMPLE, plain.seconds(command, cases[:_SAMPLE]))


def _cpp_times(plain: PlainRuns, runner: Runner, folder: Path) -> Iterator[BlockTimes]:
    texts = {
        program.name: [f"{program.cpp}// {number}\n" for number in range(_CANDIDATES)]
        for program in PROGRAMS
    }
    for program in PROGRAMS:
        file = folder / f"{program.name}.cpp"
        file.write_text(texts[program.name][0])
        subprocess.run([*_COMPILE, "-o", str(folder / program.name), str(file)], check=True)
        _block_seconds(runner, texts[program.name], stdin_cases_of(program, 0))
    block = 0
    while True:
        for program in PROGRAMS:
            block += 1
            cases = stdin_cases_of(program, block)
            ours = _block_seconds(runner, texts[program.name], cases)
            yield (*ours, len(cases), plain.seconds([str(folder / program.name)], cases))


def _block_seconds(runner: Runner, texts: Sequence[str], cases: Sequence[StdinCase]) -> tuple[int, float]:
    tests = [UnitTest("", number, case.as_text(), kind=TestKind.STDIN) for number, case in enumerate(cases)]
    started = time.perf_counter()
    verdicts = runner.run(texts, tests, record=False).verdicts
    seconds = time.perf_counter() - started
    assert (verdicts == Verdict.PASSED).all(), verdicts
    return verdicts.size, seconds


def _figures(times: Iterator[BlockTimes], seconds: float) -> StdinFigures:
    next(times)
    until = time.monotonic() + seconds
    found = []
    while time.monotonic() < until:
        found.append(next(times))
    runs, ours, plain_runs, plain = (sum(column) for column in zip(*found, strict=True))
    return StdinFigures(
        int(runs),
        1000 * statistics.median(spent / count for count, spent, _, _ in found),
        1000 * statistics.median(spent / count for _, _, count, spent in found),
        (plain / plain_runs) / (ours / runs),
    )


def _interpreter() -> str:
    """Interpreter without the virtual environment, which is faster to start, and which ours uses."""
    return str(getattr(sys, "_base_executable", sys.executable))


def main() -> None:
    """Measure, print a table and a JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="stop after a minute (default: four minutes)")
    total = QUICK_SECONDS if parser.parse_args().quick else 2 * SECONDS
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    plain = PlainRuns()
    figures: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as name:
        languages = {"python": python_figures}
        if shutil.which("g++"):
            languages["cpp"] = cpp_figures
        for language, measure in languages.items():
            try:
                found = measure(plain, total / 2, Path(name))
            except UserError as error:
                print(f"{language}: {error}")
                continue
            print(
                f"{language}: {found.milliseconds:.2f} ms per run of ours, "
                f"{found.plain_milliseconds:.2f} ms of a plain one: {found.times:.2f} times as many "
                f"({found.runs} runs)"
            )
            figures |= {f"{language}_{field}": value for field, value in found._asdict().items()}
    plain.close()
    figures["times_fresh_python"] = figures.pop("python_times")
    if "cpp_times" in figures:
        figures["times_plain_subprocess_cpp"] = figures.pop("cpp_times")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()

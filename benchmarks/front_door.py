"""Start-up time of the package, of every help and of a mistake in a job file, as ratios to `import numpy`.

    python benchmarks/front_door.py [--quick] [--json FILE]

Every command runs in a cold process. The commands take turns, so that a change in the load of the machine
falls on all of them; a ratio is between medians of one run of this script. The large libraries that a
command has loaded are listed: there must be none. The last line is one JSON object.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from testbudget.cli.main import COMMANDS

HEAVY = ("torch", "ray", "sklearn", "optuna", "matplotlib", "pyarrow", "scipy", "numpy")
LIMIT = 5.0
"""Largest ratio of a help to `import numpy`."""

BASELINE = "import numpy"


def seconds_of(command: Sequence[str]) -> float:
    """Wall clock of a process."""
    start = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    return time.perf_counter() - start


def heavy_modules(words: Sequence[str]) -> list[str]:
    """Large libraries that a command line has loaded at its end."""
    program = (
        "import sys; from testbudget.cli.main import main; main(sys.argv[1:]);"
        f"print('\\n' + ' '.join(name for name in {HEAVY} if name in sys.modules))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program, *words], capture_output=True, text=True, check=True
    )
    return ended.stdout.splitlines()[-1].split()


def main() -> None:
    """Measure, print a table and one JSON object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="three rounds in place of five")
    parser.add_argument("--json", type=Path, help="file for the JSON object")
    arguments = parser.parse_args()
    rounds = 3 if arguments.quick else 5
    with tempfile.TemporaryDirectory() as folder:
        job = Path(folder) / "job.yaml"
        job.write_text("problems: {source: humaneval}\ncap: {test: 5}\n", encoding="utf-8")
        lines = {
            "--help": ["--help"],
            **{f"{name} --help": [name, "--help"] for name in COMMANDS},
            "mistake in a job file": ["run", str(job)],
        }
        commands = {
            BASELINE: [sys.executable, "-c", BASELINE],
            "import testbudget": [sys.executable, "-c", "import testbudget"],
            **{name: [sys.executable, "-m", "testbudget", *words] for name, words in lines.items()},
        }
        times: dict[str, list[float]] = {name: [] for name in commands}
        for number in range(rounds + 1):
            for name, command in commands.items():
                taken = seconds_of(command)
                if number > 0:  # the first round warms the file cache
                    times[name].append(taken)
        heavy = {name: heavy_modules(words) for name, words in lines.items()}
    medians = {name: statistics.median(values) for name, values in times.items()}
    ratios = {name: seconds / medians[BASELINE] for name, seconds in medians.items()}
    print(f"{'command':28}{'seconds':>9}{'ratio':>8}  large libraries")
    for name, ratio in ratios.items():
        print(f"{name:28}{medians[name]:9.3f}{ratio:8.2f}  {', '.join(heavy.get(name, [])) or '-'}")
    found = {
        "rounds": rounds,
        "numpy_seconds": round(medians[BASELINE], 4),
        "ratios": {name: round(ratio, 3) for name, ratio in ratios.items()},
        "mistake_seconds": round(medians["mistake in a job file"], 4),
        "heavy_modules": {name: loaded for name, loaded in heavy.items() if loaded},
        "within_limit": max(ratios[name] for name in lines) <= LIMIT and not any(heavy.values()),
    }
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(found))


if __name__ == "__main__":
    main()

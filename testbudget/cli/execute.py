"""``testbudget execute``: a file of candidate and test pairs, run without a job."""

import argparse
import json
import os
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from testbudget.cli.console import STANDARD_STREAM, check_writable, write_lines
from testbudget.executors.execution.judging.sandbox_main import LANGUAGES
from testbudget.executors.execution.limits import ISOLATION_LAYERS, TestLimits
from testbudget.executors.execution.worker_pool import (
    MAX_TESTS,
    FinishedBlock,
    PairRequest,
    group_into_blocks,
    run_blocks,
)
from testbudget.rewards.errors import UserError, validation_sentence
from testbudget.rewards.problem import NOT_RUN, TestKind, Verdict
from testbudget.traces.files import read_rows

DESCRIPTION = """\
Run candidate programs on unit tests, each pair on a line of its own:

  {"id": "a/1", "candidate": "def f(x): ...", "test": "assert f(1) == 2", "kind": "assert"}

kind is assert (a program that runs after the candidate) or unittest (one unittest.TestCase class).
language (python when left out) and entry_point (what the test calls when left out) may be added.
Each pair gets a line, in the same order:

  {"id": "a/1", "verdict": "passed", "reason": "The test passed.", "cpu_seconds": 0.0012,
   "wall_seconds": 0.0013, "isolation": ["apart", "user", "pid", "mount", ...]}

isolation holds the layers around the pair; before them stands whether candidate and test ran apart, in
two processes, or together, in one.

  testbudget execute --in pairs.jsonl --out verdicts.jsonl
  testbudget execute --in - --out - --cpu-seconds 5 --require net mount < pairs.jsonl
"""

_KINDS = {
    "unittest": TestKind.UNITTEST,
    "assert": TestKind.ASSERTIONS,
    "assertions": TestKind.ASSERTIONS,
}
_STANDARD_INPUT = Path("/dev/stdin")
_NEVER = MAX_TESTS + 1  # more timeouts than a candidate can have in one block


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds the command to the command line."""
    parser = commands.add_parser(
        "execute",
        help="run a file of candidate and test pairs",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--in", dest="source", type=Path, required=True, metavar="FILE", help="JSONL file of pairs, or -"
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FILE", help="JSONL file of verdicts to write, or -"
    )
    limits = TestLimits()
    parser.add_argument(
        "--cpu-seconds",
        type=float,
        default=limits.cpu_seconds,
        help="CPU time that a test may use, loading the candidate included (default: %(default)s)",
    )
    parser.add_argument(
        "--wall-seconds",
        type=float,
        default=limits.wall_seconds,
        help="time on the clock after which a test that sleeps is ended (default: %(default)s)",
    )
    parser.add_argument(
        "--memory-mib",
        type=int,
        default=limits.memory_mib,
        help="memory of the process, beside the interpreter and its modules (default: %(default)s)",
    )
    parser.add_argument(
        "--timeouts",
        type=int,
        default=_NEVER,
        help=f"leave out the rest of a candidate's tests, of up to {MAX_TESTS} that are run in one go, "
        "once so many have timed out (default: run all)",
    )
    parser.add_argument(
        "--runners",
        type=int,
        default=os.cpu_count() or 1,
        help="sandboxes to work in side by side (default: one per CPU, here %(default)s)",
    )
    parser.add_argument(
        "--require",
        nargs="+",
        default=[],
        metavar="LAYER",
        help=f"run nothing unless these isolation layers are in force: {', '.join(ISOLATION_LAYERS)}",
    )
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> None:
    """Reads all pairs, runs them, writes all verdicts at once, and says how it went on standard error."""
    limits = TestLimits(
        cpu_seconds=arguments.cpu_seconds,
        wall_seconds=arguments.wall_seconds,
        memory_mib=arguments.memory_mib,
        max_timeouts=arguments.max_timeouts,
    )
    if arguments.runners < 1:
        raise UserError(f"--runners must be at least 1 but got {arguments.runners}")
    check_writable(arguments.out)
    pairs = _read(arguments.source)
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    start = time.monotonic()
    rows = _run(list(pairs.values()), limits, arguments.runners, arguments.require, console)
    seconds = time.monotonic() - start
    reasons = _reasons(limits)
    lines = [
        json.dumps({"id": id} | row.as_json(reasons)) + "\n" for id, row in zip(pairs, rows, strict=True)
    ]
    write_lines(lines, arguments.out)
    _report(rows, seconds, console)


class _PairRow(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    id: str
    candidate: str
    test: str
    kind: Literal["unittest", "assert", "assertions"]
    language: str = "python"
    entry_point: str | None = None


@dataclass(frozen=True, slots=True)
class _Result:
    """What came out of one pair."""

    verdict: int
    cpu_seconds: float
    wall_seconds: float
    same_process: bool
    layers: tuple[str, ...]

    @property
    def name(self) -> str:
        return "not_run" if self.verdict == NOT_RUN else Verdict(self.verdict).name.lower()

    def as_json(self, reasons: Mapping[int, str]) -> dict[str, Any]:
        return {
            "verdict": self.name,
            "reason": reasons[self.verdict],
            "cpu_seconds": round(self.cpu_seconds, 6),
            "wall_seconds": round(self.wall_seconds, 6),
            "isolation": ["together" if self.same_process else "apart", *self.layers],
        }


def _reasons(limits: TestLimits) -> dict[int, str]:
    """One sentence for each verdict."""
    return {
        Verdict.PASSED: "The test passed.",
        Verdict.FAILED: "An assertion of the test failed.",
        Verdict.ERRORED: "The candidate or the test does not load, or raised what the test did not expect.",
        Verdict.TIMED_OUT: f"The test took more than {limits.cpu_seconds:g} s of CPU time or "
        f"{limits.wall_seconds:g} s on the clock.",
        Verdict.OUT_OF_MEMORY: f"The test needed more than {limits.memory_mib} MiB of memory.",
        Verdict.KILLED: "The process ended before the test did.",
        Verdict.UNCONFIRMED: "The test passed, but nothing shows that the candidate did not forge that.",
        NOT_RUN: f"The test was left out after {limits.max_timeouts} others of the candidate had timed out.",
    }


def _read(source: Path) -> dict[str, PairRequest]:
    """The pairs of a file by id, in its order."""
    path = _STANDARD_INPUT if source == STANDARD_STREAM else source
    pairs: dict[str, PairRequest] = {}
    lines: dict[str, int] = {}
    texts: dict[str, str] = {}  # the same text in many lines is kept once
    for number, row in read_rows(path, "--in must be a JSONL file of pairs, or -,"):
        try:
            read = _PairRow.model_validate(row)
        except ValidationError as error:
            raise UserError(f"{path}:{number} {validation_sentence(error)}") from None
        if read.language not in LANGUAGES:
            raise UserError(
                f"{path}:{number} language must be one of {', '.join(LANGUAGES)} but got {read.language!r}"
            )
        if read.id in pairs:
            raise UserError(
                f"{path}:{number} id must be unique but {read.id!r} is that of line {lines[read.id]} too"
            )
        lines[read.id] = number
        candidate, test = (texts.setdefault(text, text) for text in (read.candidate, read.test))
        pairs[read.id] = PairRequest(candidate, test, _KINDS[read.kind], read.language, read.entry_point)
    return pairs


def _run(
    pairs: Sequence[PairRequest], limits: TestLimits, runners: int, require: Sequence[str], console: Console
) -> list[_Result]:
    """What came out of the pairs, in their order."""
    results: dict[int, _Result] = {}
    columns = (TextColumn("running pairs"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    progress = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
    blocks = group_into_blocks(pairs, runners)
    with progress, closing(run_blocks(blocks, limits, runners, require)) as finished:
        task = progress.add_task("", total=len(pairs))
        missing: tuple[str, ...] = ()
        for done in finished:
            results |= _results(done)
            missing = missing or done.missing
            progress.update(task, completed=len(results))
    if missing:
        console.print(f"testbudget: this machine refuses the isolation layers {', '.join(missing)}")
    return [results[position] for position in range(len(pairs))]


def _results(done: FinishedBlock) -> dict[int, _Result]:
    """What came out of each pair of a block, by the pair's position."""
    block, outcomes = done.block, done.outcomes
    cells = block.rows, block.columns
    fields = (outcomes.verdicts, outcomes.cpu_seconds, outcomes.wall_seconds, outcomes.same_process)
    values = zip(block.positions.tolist(), *(field[cells].tolist() for field in fields), strict=True)
    return {
        position: _Result(verdict, cpu_seconds, wall_seconds, same_process, done.layers)
        for position, verdict, cpu_seconds, wall_seconds, same_process in values
    }


def _report(results: Sequence[_Result], seconds: float, console: Console) -> None:
    verdicts = Counter(result.name for result in results)
    places = Counter("together" if result.same_process else "apart" for result in results)
    layers = results[0].layers if results else ()
    console.print(
        f"testbudget: {len(results)} pairs in {seconds:.1f} s, "
        f"{len(results) / max(seconds, 1e-9):.0f} pairs/s: {_counts(verdicts)}; "
        f"isolation: {_counts(places)}; {', '.join(layers)}"
    )


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counter.most_common())

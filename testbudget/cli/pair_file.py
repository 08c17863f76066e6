"""Files of candidate and test pairs: pairs read, executed, and verdicts written."""

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
from testbudget.executors.execution.languages.registry import BUILT_IN
from testbudget.executors.execution.limits import TestLimits, Trust
from testbudget.executors.execution.worker_pool import (
    MAX_TESTS,
    FinishedBlock,
    PairRequest,
    group_into_blocks,
    run_blocks,
)
from testbudget.rewards.errors import UserError, validation_sentence
from testbudget.rewards.plugins import PluginGroup, check_name
from testbudget.rewards.problem import NOT_RUN, TestKind, Verdict
from testbudget.rewards.verdict_reason import VerdictReason
from testbudget.traces.files import read_rows

_STANDARD_INPUT = Path("/dev/stdin")
_NEVER = MAX_TESTS + 1  # more timeouts than a candidate can have in one block


def execute_file(
    source: Path,
    out: Path,
    *,
    runners: int | None,
    require: Sequence[str],
    max_timeouts: int | None,
    trust: Trust,
    **limits: float,
) -> dict[str, Any]:
    """Execute the pairs of a file, write a line for each, and print the counts on standard error.

    Args:
        source: JSONL file of pairs, or ``-``.
        out: JSONL file of verdicts, or ``-``; written atomically.
        runners: number of sandboxes; None for one per CPU core.
        require: isolation layers without which nothing is executed.
        max_timeouts: timeouts in a block after which a candidate's other tests are not run; None for all.
        trust: trust in the authors of the candidates.
        limits: limits of one test, by field of ``TestLimits``.

    Returns:
        Counts: ``pairs``, ``seconds``, ``pairs_per_second``, ``verdicts`` by name, ``same_process``
        (number of pairs judged in one process with the candidate), ``layers`` in force,
        ``missing_layers``.

    Raises:
        UserError: the files, a line, a limit or a layer cannot be used.
    """
    chosen = TestLimits(max_timeouts=max_timeouts or _NEVER, **limits)  # type: ignore[arg-type]
    check_writable(out)
    pairs = _read(source)
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    start = time.monotonic()
    rows, missing = _run(
        list(pairs.values()), chosen, runners or os.cpu_count() or 1, require, trust, console
    )
    seconds = time.monotonic() - start
    lines = [json.dumps({"id": id} | row.as_json()) + "\n" for id, row in zip(pairs, rows, strict=True)]
    write_lines(lines, out)
    counts = _counts(rows, seconds, missing)
    _print_counts(counts, console)
    return counts


class _PairRow(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    id: str
    candidate: str
    test: str
    kind: Literal["unittest", "assert"]
    language: str = "python"
    entry_point: str | None = None


@dataclass(frozen=True, slots=True)
class _Result:
    """Result of one pair."""

    verdict: int
    cpu_seconds: float
    wall_seconds: float
    same_process: bool
    cut_at: float
    reason: VerdictReason
    layers: tuple[str, ...]

    @property
    def place(self) -> str:
        return "same_process" if self.same_process else "separate_process"

    @property
    def name(self) -> str:
        return "not_run" if self.verdict == NOT_RUN else Verdict(self.verdict).name.lower()

    def as_json(self) -> dict[str, Any]:
        cut_at = {"cut_at": round(self.cut_at, 6)} if self.cut_at else {}
        return {
            "verdict": self.name,
            "reason": self.reason.sentence,
            "detail": {str(name): text for name, text in self.reason.detail.items()},
            "cpu_seconds": round(self.cpu_seconds, 6),
            "wall_seconds": round(self.wall_seconds, 6),
            **cut_at,
            "isolation": [self.place, *self.layers],
        }


def _read(source: Path) -> dict[str, PairRequest]:
    """Pairs of a file by id, in the order of its lines."""
    path = _STANDARD_INPUT if source == STANDARD_STREAM else source
    pairs: dict[str, PairRequest] = {}
    lines: dict[str, int] = {}
    texts: dict[str, str] = {}  # equal texts are kept once
    for number, row in read_rows(path, "--in must be a JSONL file of pairs, or -,"):
        try:
            read = _PairRow.model_validate(row)
        except ValidationError as error:
            raise UserError(f"{path}:{number} {validation_sentence(error)}") from None
        check_name(f"{path}:{number} language", read.language, PluginGroup.LANGUAGES, BUILT_IN)
        if read.id in pairs:
            raise UserError(
                f"{path}:{number} id must be unique but {read.id!r} is that of line {lines[read.id]} too"
            )
        lines[read.id] = number
        candidate, test = (texts.setdefault(text, text) for text in (read.candidate, read.test))
        pairs[read.id] = PairRequest(candidate, test, TestKind(read.kind), read.language, read.entry_point)
    return pairs


def _run(
    pairs: Sequence[PairRequest],
    limits: TestLimits,
    runners: int,
    require: Sequence[str],
    trust: Trust,
    console: Console,
) -> tuple[list[_Result], tuple[str, ...]]:
    """Results of the pairs in their order, and the isolation layers that this machine refuses."""
    results: dict[int, _Result] = {}
    columns = (TextColumn("running pairs"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    progress = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
    blocks = group_into_blocks(pairs, runners)
    with progress, closing(run_blocks(blocks, limits, runners, require, trust)) as finished:
        task = progress.add_task("", total=len(pairs))
        missing: tuple[str, ...] = ()
        for done in finished:
            results |= _results(done)
            missing = missing or done.missing
            progress.update(task, completed=len(results))
    if missing:
        console.print(f"testbudget: this machine refuses the isolation layers {', '.join(missing)}")
    return [results[position] for position in range(len(pairs))], missing


def _results(done: FinishedBlock) -> dict[int, _Result]:
    """Results of the pairs of a block, by position of the pair."""
    block, verdicts = done.block, done.block_verdicts
    columns = (
        verdicts.verdicts,
        verdicts.cpu_seconds,
        verdicts.wall_seconds,
        verdicts.same_process,
        verdicts.cut_at,
        verdicts.reason_of,
    )
    cells = block.rows, block.columns
    values = zip(block.positions.tolist(), *(column[cells].tolist() for column in columns), strict=True)
    return {
        position: _Result(verdict, cpu, wall, same_process, cut_at, verdicts.reasons[reason], done.layers)
        for position, verdict, cpu, wall, same_process, cut_at, reason in values
    }


def _counts(results: Sequence[_Result], seconds: float, missing: Sequence[str]) -> dict[str, Any]:
    return {
        "pairs": len(results),
        "seconds": round(seconds, 3),
        "pairs_per_second": round(len(results) / max(seconds, 1e-9), 1),
        "verdicts": dict(Counter(result.name for result in results).most_common()),
        "same_process": sum(result.same_process for result in results),
        "layers": list(results[0].layers if results else ()),
        "missing_layers": list(missing),
    }


def _print_counts(counts: Mapping[str, Any], console: Console) -> None:
    verdicts = ", ".join(f"{count} {name}" for name, count in counts["verdicts"].items())
    console.print(
        f"testbudget: {counts['pairs']} pairs in {counts['seconds']:.1f} s, "
        f"{counts['pairs_per_second']:.0f} pairs/s: {verdicts}; "
        f"isolation: {counts['same_process']} same_process; {', '.join(counts['layers'])}"
    )

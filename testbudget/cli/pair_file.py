"""Execution of a source of pairs: verdicts are written as they fall, in the order of the rows.

Rows are read a *chunk* at a time. A chunk is grouped into blocks, which are run while later chunks are
read. Verdicts wait until those of all earlier rows are written. At most ``_MAX_AHEAD`` rows are read and
not written, so memory does not grow with the input, except by the digest of each id.
"""

import os
import time
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from testbudget.cli.console import STANDARD_STREAM, check_writable, number_of
from testbudget.cli.interruptions import Interruptions
from testbudget.cli.pair_rows import PairRow, RowSource, open_rows, same_file
from testbudget.cli.verdict_files import (
    ERROR,
    LOST,
    OutputFile,
    VerdictRow,
    existing_output,
    open_output,
    verdict_name,
)
from testbudget.executors.execution.limits import TestLimits, Trust
from testbudget.executors.execution.package_choice import PackageChoice
from testbudget.executors.execution.packages import find_packages
from testbudget.executors.execution.pair_blocks import MAX_TESTS, Block, group_into_blocks
from testbudget.executors.execution.worker_pool import BlockPool, FinishedBlock
from testbudget.rewards.errors import InfrastructureError, SandboxError, UserError
from testbudget.rewards.problem import NOT_RUN, Verdict
from testbudget.rewards.verdict_reason import DetailName

_NEVER = MAX_TESTS + 1  # more timeouts than a candidate can have in one block
_FIRST_CHUNK, _MIN_CHUNK, _MAX_CHUNK = 256, 64, 4096  # rows
_CHUNK_SECONDS = 10.0  # aim; an interrupted command loses the blocks that are being run
_MAX_GROWTH = 4  # of a chunk, as a factor of the one before
_MAX_AHEAD = 16 * _MAX_CHUNK


@dataclass(frozen=True, slots=True)
class PairSettings:
    """Settings of an execution of pairs.

    Attributes:
        limits: limits of one test.
        runners: number of sandboxes.
        require: isolation layers without which nothing is executed.
        trust: trust in the authors of the candidates.
        packages: distributions that Python programs may import.
        fixed_chunks: True where the shape of blocks matters: a limit on the timeouts in one is set.
    """

    limits: TestLimits
    runners: int
    require: Sequence[str]
    trust: Trust
    packages: PackageChoice
    fixed_chunks: bool


def execute_file(
    source: Path,
    out: Path,
    *,
    runners: int | None,
    require: Sequence[str],
    max_timeouts: int | None,
    trust: Trust,
    packages: PackageChoice,
    resume: bool,
    **limits: float,
) -> dict[str, Any]:
    """Execute pairs, write a row for each, and print the counts on standard error.

    Args:
        source: file of pairs, or ``-``.
        out: file of verdicts, or ``-``.
        runners: number of sandboxes; None for one per CPU core.
        require: isolation layers without which nothing is executed.
        max_timeouts: timeouts in a block after which a candidate's other tests are not run; None for all.
        trust: trust in the authors of the candidates.
        packages: distributions that Python programs may import.
        resume: True to continue the file of verdicts.
        limits: limits of one test, by field of ``TestLimits``.

    Returns:
        Counts: ``pairs``, ``resumed`` (number of rows that were there before), ``seconds``,
        ``pairs_per_second``, ``verdicts`` by name, ``errors`` (number of wrong rows of a stream), ``lost``
        (number of pairs without a verdict, each of which ended its sandbox again and again),
        ``same_process`` (number of pairs judged in one process with the candidate), ``layers`` in force,
        ``missing_layers``.

    Raises:
        UserError: the files, a row, a limit, a package or a layer cannot be used.
        InfrastructureError: a sandbox or the disk failed; the verdicts before are written.
        KeyboardInterrupt: a signal came; the verdicts before are written, and the message says so.
    """
    chosen = TestLimits(max_timeouts=max_timeouts or _NEVER, **limits)  # type: ignore[arg-type]
    settings = PairSettings(
        chosen, runners or os.cpu_count() or 1, require, trust, packages, bool(max_timeouts)
    )
    read, written = (None if path == STANDARD_STREAM else path for path in (source, out))
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    if same_file(read, written):
        raise UserError(f"--in and --out must be two files but both are {written or read or 'one'}")
    if resume and written is None:
        raise UserError("--resume needs --out FILE: what standard output has got is not known")
    find_packages(packages)
    check_writable(out)
    if written is not None and written.exists() and not resume:
        raise existing_output(written)
    with Interruptions() as interruptions:
        rows = open_rows(read, lambda sentence: console.print(f"testbudget: {sentence}"))
        with closing(rows):
            output = open_output(written, resume=resume, interruptions=interruptions)
            execution = PairExecution(rows, output, settings, console)
            with _told_how_to_go_on(execution, written), closing(output):
                execution.run()
    counts = execution.counts()
    _print_counts(counts, console)
    return counts


class PairExecution:
    """Execution of the pairs of a source.

    Args:
        rows: source of the pairs.
        output: place of the verdicts; the rows that it holds already are not executed again.
        settings: settings of the runners.
        console: console for progress and warnings.

    Attributes:
        rows, output: as given.
    """

    def __init__(
        self, rows: RowSource, output: OutputFile, settings: PairSettings, console: Console
    ) -> None:
        self.rows = rows
        self.output = output
        self._settings = settings
        self._console = console
        self._resumed = 0
        self._verdicts: Counter[str] = Counter()
        self._same_process = 0
        self._layers: tuple[str, ...] = ()
        self._missing: tuple[str, ...] = ()
        self._seconds = 0.0
        self._chunk = _MAX_CHUNK if settings.fixed_chunks else _FIRST_CHUNK
        self._judged = 0
        self._read = 0  # position after the last row that was read
        self._written = 0  # position of the next row that is written
        self._waiting: deque[Block] = deque()
        self._taken: dict[int, PairRow] = {}  # read and not written, by position
        self._results: dict[int, VerdictRow] = {}  # finished and not written, by position

    def run(self) -> None:
        """Execute all pairs.

        Raises:
            UserError: the output belongs to other rows, or a layer is missing.
            SandboxError: no sandbox can be built, or a runner failed twice on one block.
            InfrastructureError: the output cannot be written.
        """
        self._skip_earlier_rows()
        start = time.monotonic()
        settings = self._settings
        try:
            with (
                BlockPool(
                    settings.limits, settings.runners, settings.require, settings.trust, settings.packages
                ) as pool,
                self._progress() as show,
            ):
                while self._advance(pool, start):
                    show(self.output.rows)
                self.output.complete = True
        finally:
            self._seconds = time.monotonic() - start

    def counts(self) -> dict[str, Any]:
        """Counts of all rows of the output, as ``execute_file`` returns them."""
        pairs = self.output.rows - self._resumed
        verdicts = Counter(self._verdicts)
        errors, lost = verdicts.pop(ERROR, 0), verdicts.pop(LOST, 0)
        return {
            "pairs": self.output.rows,
            "resumed": self._resumed,
            "seconds": round(self._seconds, 3),
            "pairs_per_second": round(pairs / max(self._seconds, 1e-9), 1),
            "verdicts": dict(verdicts.most_common()),
            "errors": errors,
            "lost": lost,
            "same_process": self._same_process,
            "layers": list(self._layers),
            "missing_layers": list(self._missing),
        }

    def _skip_earlier_rows(self) -> None:
        """Read the rows that have a row in the output, and check that these belong together."""
        for number, earlier in enumerate(self.output.earlier_rows(), start=1):
            row = self._next_row()
            if row is None or row.id != earlier["id"]:
                found = "the input has no such row" if row is None else f"that of the input is {row.id!r}"
                raise UserError(
                    f"--resume needs the output of this input but row {number} of the output has the id "
                    f"{earlier['id']!r} and {found}"
                )
            self._verdicts[verdict_name(earlier)] += 1
        self._resumed = self._read = self._written = self.output.rows

    def _next_row(self) -> PairRow | None:
        """The next row, waited for."""
        while not self.rows.exhausted:
            self.rows.wait()
            if taken := self.rows.take(1):
                return taken[0]
        return None

    def _advance(self, pool: BlockPool, start: float) -> bool:
        """Start blocks, write what is ready, wait for more; return False once everything is written."""
        wants_rows = self._fill(pool, start)
        self._write()
        if not pool.running and not self._waiting and self.rows.exhausted:
            return False
        descriptor = self.rows.descriptor
        for done in pool.wait([descriptor] if wants_rows and descriptor is not None else []):
            self._receive(done)
        return True

    def _fill(self, pool: BlockPool, start: float) -> bool:
        """Give every worker a block; return whether further rows could be used at once."""
        while True:
            while self._waiting and pool.has_room:
                pool.start(self._waiting.popleft())
            wanted = min(self._chunk, _MAX_AHEAD - (self._read - self._written))
            if len(self._waiting) >= self._settings.runners or wanted <= 0 or self.rows.exhausted:
                return False
            rows = self.rows.take(wanted)
            if not rows:
                return not self.rows.exhausted
            self._take(rows)
            self._resize_chunk(time.monotonic() - start)

    def _take(self, rows: Sequence[PairRow]) -> None:
        first = self._read
        self._read += len(rows)
        requests = {}
        for position, row in enumerate(rows, start=first):
            if row.request is None:
                self._results[position] = {"id": row.id, ERROR: row.error}
            else:
                self._taken[position] = row
                requests[position] = row.request
        self._waiting.extend(group_into_blocks([*requests.values()], self._settings.runners, [*requests]))

    def _resize_chunk(self, seconds: float) -> None:
        """Aim at chunks of some seconds each, as far as is known how long a pair takes."""
        if self._judged and not self._settings.fixed_chunks:
            aim = int(self._judged / max(seconds, 1e-9) * _CHUNK_SECONDS)
            self._chunk = max(_MIN_CHUNK, min(aim, _MAX_GROWTH * self._chunk, _MAX_CHUNK))

    def _receive(self, done: FinishedBlock) -> None:
        if done.missing and not self._missing:
            self._console.print(
                f"testbudget: this machine refuses the isolation layers {', '.join(done.missing)}"
            )
        self._layers, self._missing = done.layers, done.missing
        self._judged += len(done.block.positions)
        self._same_process += int(
            done.block_verdicts.same_process[done.block.rows, done.block.columns].sum()
        )
        for position, fields in _results(done):
            row = self._taken.pop(position)
            metadata = {"metadata": row.metadata} if row.metadata else {}
            self._results[position] = {"id": row.id, **fields, **metadata}

    def _write(self) -> None:
        """Write the results that come next."""
        ready = []
        while (row := self._results.pop(self._written, None)) is not None:
            ready.append(row)
            self._written += 1
        if ready:
            self.output.write(ready)
            self._verdicts.update(map(verdict_name, ready))

    @contextmanager
    def _progress(self) -> Iterator[Any]:
        columns = (TextColumn("running pairs"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        hidden = not self._console.is_terminal
        with Progress(*columns, console=self._console, transient=True, disable=hidden) as progress:
            task = progress.add_task("", total=self.rows.total, completed=self._resumed)
            yield lambda completed: progress.update(task, completed=completed)


@contextmanager
def _told_how_to_go_on(execution: PairExecution, out: Path | None) -> Iterator[None]:
    """End by a sentence that says what is written, and how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"interrupted; {_state(execution, out)}") from None
    except (SandboxError, InfrastructureError) as error:
        raise InfrastructureError(f"{error}; {_state(execution, out)}") from None


def _state(execution: PairExecution, out: Path | None) -> str:
    rows, total = execution.output.rows, execution.rows.total
    count = number_of(rows, "verdict") if total is None else f"{rows} of {number_of(total, 'verdict')}"
    verb = ("is", "was") if rows == 1 else ("are", "were")
    if out is None:
        return f"{count} {verb[1]} written"
    return f"{count} {verb[0]} in {out}: go on with --resume" if rows else "there are no verdicts yet"


def _results(done: FinishedBlock) -> Iterator[tuple[int, dict[str, Any]]]:
    """Position and fields of each pair of a block."""
    block, verdicts = done.block, done.block_verdicts
    columns = (
        verdicts.verdicts,
        verdicts.cpu_seconds,
        verdicts.wall_seconds,
        verdicts.same_process,
        verdicts.cut_at,
        verdicts.lost,
        verdicts.reason_of,
    )
    cells = block.rows, block.columns
    values = zip(block.positions.tolist(), *(column[cells].tolist() for column in columns), strict=True)
    for position, verdict, cpu_seconds, wall_seconds, same_process, cut_at, lost, number in values:
        reason = verdicts.reasons[number]
        if lost:
            cause = reason.detail.get(DetailName.MESSAGE)
            yield position, {ERROR: f"{reason.sentence} {cause}".strip() if cause else reason.sentence}
            continue
        yield (
            position,
            {
                "verdict": "not_run" if verdict == NOT_RUN else Verdict(verdict).name.lower(),
                "reason": reason.sentence,
                "detail": {str(name): text for name, text in reason.detail.items()},
                "cpu_seconds": round(cpu_seconds, 6),
                "wall_seconds": round(wall_seconds, 6),
                **({"cut_at": round(cut_at, 6)} if cut_at else {}),
                "isolation": ["same_process" if same_process else "separate_process", *done.layers],
            },
        )


def _print_counts(counts: Mapping[str, Any], console: Console) -> None:
    if not counts["pairs"]:
        console.print("testbudget: --in holds no pairs, so there are no verdicts")
        return
    verdicts = ", ".join(f"{count} {name}" for name, count in counts["verdicts"].items()) or "none"
    resumed, errors, lost = (counts[name] for name in ("resumed", "errors", "lost"))
    before = f"{resumed} {'was' if resumed == 1 else 'were'} there, " if resumed else ""
    wrong = f"{number_of(errors, 'wrong row')}; " if errors else ""
    wrong += f"{lost} lost since {'it ends' if lost == 1 else 'they end'} the sandbox; " if lost else ""
    layers = ", ".join(counts["layers"]) or "nothing was run"
    console.print(
        f"testbudget: {number_of(counts['pairs'], 'pair')} in {counts['seconds']:.1f} s, {before}"
        f"{counts['pairs_per_second']:.0f} pairs/s: {verdicts}; {wrong}"
        f"isolation: {counts['same_process']} same_process; {layers}"
    )

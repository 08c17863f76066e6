"""Endurance of a runner: hostile blocks for minutes, with honest blocks between them.

python benchmarks/soak.py [--minutes 10] [--quick]

The hostile programs are those of the corpus in ``tests/executors/execution/corpus``: fork bombs, memory
bombs, crashes, sleepers, programs that fill the disk, close descriptors or forge verdicts. The sandbox's
processes are killed from outside at intervals. Honest blocks are timed in turn on the soaked runner and on
a clean one that runs nothing hostile, so a busy machine slows both. Afterwards no process, mount, file or
control group may be left. The last line is a JSON object with all figures.
"""

import argparse
import contextlib
import itertools
import json
import os
import re
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml
from recorded_blocks import RecordedBlock, random_pairs, recorded_blocks, recorded_problems

from testbudget.executors.execution.limits import TestLimits
from testbudget.executors.execution.runner import Runner
from testbudget.executors.execution.sandbox import kernel
from testbudget.rewards.problem import NOT_RUN, TestKind, UnitTest, Verdict

SEED = 0
CORPUS = Path(__file__).parents[1] / "tests" / "executors" / "execution" / "corpus"
_HOSTILE_FOLDERS = ("forging", "survival")
_FIELDS = ("name", "entry_point", "kind", "language", "patience", "times", "test", "tests")
_LIMITS = TestLimits(cpu_seconds=0.2, wall_seconds=0.5, memory_mib=256, max_timeouts=2)
_PROGRAMS_PER_BLOCK = 4
_BLOCKS_PER_HONEST_BLOCK = 5
_BLOCKS_PER_KILL = 25
_HONEST_BLOCKS, _HONEST_CANDIDATES = 8, 24
_SAMPLES = 40
_MEMORY = re.compile(r"^Rss(?:Anon|Shmem):\s+(\d+) kB$", re.MULTILINE)
_TOLERATED_GROWTH = 4.0  # MiB, or descriptors
_TOLERATED_RATIO = 0.8


class HostileProgram(NamedTuple):
    """A hostile program. ``may_pass``: the corpus allows it to pass."""

    text: str
    may_pass: bool


@dataclass(frozen=True, slots=True)
class HostileDocument:
    """A document of the corpus: tests, and hostile programs to run on them."""

    entry_point: str
    tests: tuple[UnitTest, ...]
    programs: tuple[HostileProgram, ...]


class UsageSample(NamedTuple):
    """Usage at one moment: MiB of memory of the four lasting processes, and open descriptors."""

    minute: float
    runner_mib: float
    guard_mib: float
    server_mib: float
    fork_server_mib: float
    descriptors: float


@dataclass(slots=True)
class SoakTotals:
    """Totals of a soak.

    Attributes:
        programs: hostile programs run.
        forged: verdicts "passed" on programs that must not pass.
        kills: times that the guard, server process or fork server was killed from outside.
        verdicts: verdicts on hostile programs, by name.
        soaked, clean: seconds of each honest block on the two runners.
        pairs: pairs in all honest blocks.
        wrong: honest verdicts in which the two runners differ.
        samples: of memory and descriptors.
    """

    programs: int = 0
    forged: int = 0
    kills: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)
    soaked: list[float] = field(default_factory=list)
    clean: list[float] = field(default_factory=list)
    pairs: int = 0
    wrong: int = 0
    samples: list[UsageSample] = field(default_factory=list)

    def growth(self, name: str) -> float:
        """Median of the last quarter of the samples minus that of the second quarter."""
        values = [getattr(sample, name) for sample in self.samples]
        quarter = max(1, len(values) // 4)
        return float(np.median(values[-quarter:]) - np.median(values[quarter : 2 * quarter] or values))


class SoakTest:
    """The runner to be soaked and a clean one.

    Args:
        stack: ends their processes.
    """

    def __init__(self, stack: contextlib.ExitStack) -> None:
        self.clean = stack.enter_context(Runner(_LIMITS))
        self._others = _children(os.getpid())
        self.runner = stack.enter_context(Runner(_LIMITS))

    def soak(
        self,
        minutes: float,
        documents: Sequence[HostileDocument],
        honest: Sequence[RecordedBlock],
        random: np.random.Generator,
    ) -> SoakTotals:
        """Run hostile and honest blocks in turn until the time is over."""
        totals = SoakTotals()
        start = time.monotonic()
        for number in itertools.count():
            if number % _BLOCKS_PER_HONEST_BLOCK == 0:
                self._time_honest(totals, honest[len(totals.clean) % len(honest)])
            minute = (time.monotonic() - start) / 60
            if minute >= minutes * len(totals.samples) / _SAMPLES:
                totals.samples.append(self._sample(minute))
            if minute >= minutes:
                break
            if (
                number % _BLOCKS_PER_KILL == _BLOCKS_PER_KILL // 2
            ):  # a hostile block waits for the new sandbox
                os.kill(random.choice([process for process in self._sandbox() if process]), signal.SIGKILL)
                totals.kills += 1
            document = documents[int(random.integers(len(documents)))]
            self._run_hostile(totals, document, random.permutation(len(document.programs)).tolist())
        return totals

    def _run_hostile(self, totals: SoakTotals, document: HostileDocument, order: Sequence[int]) -> None:
        programs = [document.programs[index] for index in order[:_PROGRAMS_PER_BLOCK]]
        texts = [program.text for program in programs]
        judged = self.runner.run(texts, document.tests, document.entry_point)
        totals.programs += len(programs)
        for program, row in zip(programs, judged.verdicts, strict=True):
            names = ("not_run" if value == NOT_RUN else Verdict(value).name.lower() for value in row)
            totals.verdicts.update(names)
            totals.forged += 0 if program.may_pass else int((row == Verdict.PASSED).sum())

    def _time_honest(self, totals: SoakTotals, block: RecordedBlock) -> None:
        # Never the same text twice: a sandbox caches programs until it is killed.
        candidates = [f"{text}\n# {len(totals.clean)}" for text in block.candidates]
        turns = [(self.runner, totals.soaked), (self.clean, totals.clean)]
        verdicts = []
        for runner, times in turns if len(totals.clean) % 2 else reversed(turns):
            start = time.perf_counter()
            verdicts.append(runner.run(candidates, block.tests, block.entry_point).verdicts)
            times.append(time.perf_counter() - start)
        totals.pairs += verdicts[0].size
        totals.wrong += int((verdicts[0] != verdicts[1]).sum())

    def _sandbox(self) -> tuple[int, int, int]:
        """Ids of the soaked runner's guard, server process and fork server (0 if it does not run)."""
        (guard,) = _children(os.getpid()) - self._others
        (server,) = _children(guard)
        (fork_server,) = _children(server) or {0}
        return guard, server, fork_server

    def _sample(self, minute: float) -> UsageSample:
        memory = (_memory_mib(process) if process else 0.0 for process in (os.getpid(), *self._sandbox()))
        return UsageSample(minute, *memory, len(list(Path("/proc/self/fd").iterdir())))


def hostile_documents(outside: Path) -> list[HostileDocument]:
    """The hostile part of the corpus, with the path of a directory for ``OUTSIDE`` in its programs."""
    documents = []
    for path in sorted(path for folder in _HOSTILE_FOLDERS for path in (CORPUS / folder).glob("*.yaml")):
        for content in yaml.safe_load_all(path.read_text()):
            if content.get("language", "python") != "python":
                continue
            kind = TestKind(content.get("kind", "unittest"))
            codes = content.get("tests") or [content["test"]]
            programs = [
                HostileProgram(text.replace("OUTSIDE", str(outside)), "passed" in phrase.split(" or "))
                for phrase, texts in content.items()
                if phrase not in _FIELDS
                for text in ([texts] if isinstance(texts, str) else texts.values())
            ]
            tests = tuple(UnitTest(path.stem, index, code, kind=kind) for index, code in enumerate(codes))
            documents.append(HostileDocument(content["entry_point"], tests, tuple(programs)))
    return documents


def honest_blocks(random: np.random.Generator) -> list[RecordedBlock]:
    """A few small blocks of recorded candidates and tests."""
    found = recorded_blocks(recorded_problems(), random_pairs, random)
    large = (block for block in found if len(block.candidates) >= _HONEST_CANDIDATES)
    return [block.of(range(_HONEST_CANDIDATES)) for block in itertools.islice(large, _HONEST_BLOCKS)]


def system_state(outside: Path) -> dict[str, object]:
    """Everything on this machine where a sandbox could leave something behind."""
    groups = {path for path, *_ in os.walk("/sys/fs/cgroup") if f"testbudget-{os.getpid()}-" in path}
    return {
        "processes": _children(os.getpid()),
        "mounts": Path("/proc/self/mountinfo").read_text(),
        "files": {str(path) for path in Path(tempfile.gettempdir()).glob("testbudget-*")} - _in_use(),
        "files outside": {path.name: path.read_text() for path in outside.iterdir()},
        "control groups": groups,
        "shared memory": Path("/proc/sysvipc/shm").read_text(),
    }


def _children(process: int) -> set[int]:
    """Child processes that have not ended. Adopted ones that have ended are never reaped here."""
    texts = (path.read_text() for path in Path(f"/proc/{process}/task").glob("*/children"))
    return {int(child) for text in texts for child in text.split() if not _has_ended(int(child))}


def _in_use() -> set[str]:
    """Working directories of all processes, such as the scratch directory of another sandbox."""
    found = set()
    for link in Path("/proc").glob("[0-9]*/cwd"):
        with contextlib.suppress(OSError):
            found.add(str(link.readlink()))
    return found


def _has_ended(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except FileNotFoundError:
        return True


def _memory_mib(process: int) -> float:
    """MiB of memory of a process that no file backs."""
    return sum(map(int, _MEMORY.findall(Path(f"/proc/{process}/status").read_text()))) / 1024


def _figures(
    totals: SoakTotals, minutes: float, layers: Sequence[str], left: Sequence[str]
) -> dict[str, Any]:
    soaked, clean = (totals.pairs / sum(times) for times in (totals.soaked, totals.clean))
    return {
        "minutes": minutes,
        "layers": layers,
        "hostile programs": totals.programs,
        "hostile verdicts": dict(totals.verdicts.most_common()),
        "forged": totals.forged,
        "sandbox killed": totals.kills,
        "honest pairs": totals.pairs,
        "honest verdicts that differ": totals.wrong,
        "honest pairs/s, soaked": round(soaked, 1),
        "honest pairs/s, clean": round(clean, 1),
        "ratio": round(soaked / clean, 4),
        "growth": {name: round(totals.growth(name), 3) for name in UsageSample._fields[1:]},
        "left behind": left,
    }


def _bounds_kept(figures: dict[str, Any]) -> bool:
    return (
        not figures["left behind"]
        and figures["forged"] == figures["honest verdicts that differ"] == 0
        and figures["ratio"] >= _TOLERATED_RATIO
        and max(figures["growth"].values()) <= _TOLERATED_GROWTH
    )


def main() -> int:
    """Run the soak; exit code 1 if a bound is exceeded or anything is left behind."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=10.0, help="how long (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="half a minute")
    arguments = parser.parse_args()
    minutes = 0.5 if arguments.quick else arguments.minutes

    kernel.adopt_orphans()  # orphans become children of this process
    random = np.random.default_rng(SEED)
    outside = Path(tempfile.mkdtemp(prefix="soak-"))
    outside.chmod(0o777)  # writable for everybody outside the sandbox
    try:
        documents, honest = hostile_documents(outside), honest_blocks(random)
        before = system_state(outside)
        with contextlib.ExitStack() as stack:
            soak_test = SoakTest(stack)
            totals = soak_test.soak(minutes, documents, honest, random)
        after = system_state(outside)
    finally:
        shutil.rmtree(outside)

    left = [place for place in before if before[place] != after[place]]
    figures = _figures(totals, minutes, soak_test.runner.layers, left)
    for sample in totals.samples[:: max(1, len(totals.samples) // 10)]:
        print(*(f"{name} {value:.1f}" for name, value in sample._asdict().items()), sep="  ")
    for name, figure in figures.items():
        print(f"{name}: {figure}")
    print("all bounds kept" if _bounds_kept(figures) else "a bound is exceeded")
    print(json.dumps(figures))
    return 0 if _bounds_kept(figures) else 1


if __name__ == "__main__":
    sys.exit(main())

"""Does a runner last? Hostile jobs for minutes on end, with honest ones between them.

python benchmarks/soak.py [--minutes 10] [--quick]

The hostile programs are those of the corpus in ``tests/executors/execution/corpus``: fork bombs, memory
bombs, crashes, sleepers, programs that fill the disk, close descriptors, forge verdicts. Now and then the
sandbox's own processes are killed from outside. Honest blocks are timed in turn on the soaked runner and on
one beside it that never meets anything hostile, so that a busy machine slows both. Afterwards nothing may
be left: no process, mount, file or control group. The last line is a JSON object with all figures.
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
import recorded
import yaml
from recorded import Block

from testbudget.executors.execution.limits import TestLimits
from testbudget.executors.execution.runner import Runner
from testbudget.executors.execution.sandbox import kernel
from testbudget.rewards.problem import NOT_RUN, TestKind, UnitTest, Verdict

SEED = 0
CORPUS = Path(__file__).parents[1] / "tests" / "executors" / "execution" / "corpus"
_HOSTILE_FOLDERS = ("forging", "survival")
_FIELDS = ("name", "entry_point", "kind", "language", "patience", "times", "test", "tests")
_LIMITS = TestLimits(cpu_seconds=0.2, wall_seconds=0.5, memory_mib=256, max_timeouts=2)
_PROGRAMS_PER_JOB = 4
_JOBS_PER_HONEST_BLOCK = 5
_JOBS_PER_KILL = 25
_HONEST_BLOCKS, _HONEST_CANDIDATES = 8, 24
_SAMPLES = 40
_MEMORY = re.compile(r"^Rss(?:Anon|Shmem):\s+(\d+) kB$", re.MULTILINE)
_TOLERATED_GROWTH = 4.0  # MiB, or descriptors
_TOLERATED_RATIO = 0.8


class Program(NamedTuple):
    """A hostile program, and whether the corpus allows it to pass."""

    text: str
    may_pass: bool


@dataclass(frozen=True, slots=True)
class Document:
    """Tests, and hostile programs to be run on them."""

    entry_point: str
    tests: tuple[UnitTest, ...]
    programs: tuple[Program, ...]


class Sample(NamedTuple):
    """What is in use at one moment: memory in MiB of the four lasting processes, and open descriptors."""

    minute: float
    runner_mib: float
    guard_mib: float
    zygote_mib: float
    nursery_mib: float
    descriptors: float


@dataclass(slots=True)
class Soak:
    """What has been done and seen so far.

    Attributes:
        programs: hostile programs run.
        forged: verdicts 'passed' on programs that must not pass.
        kills: how often the guard, the zygote or the nursery was killed from outside.
        verdicts: on hostile programs, by name.
        soaked, clean: seconds that each honest block took, with the two runners.
        pairs: in all honest blocks together.
        wrong: honest verdicts in which the two differ.
        samples: of memory.
    """

    programs: int = 0
    forged: int = 0
    kills: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)
    soaked: list[float] = field(default_factory=list)
    clean: list[float] = field(default_factory=list)
    pairs: int = 0
    wrong: int = 0
    samples: list[Sample] = field(default_factory=list)

    def growth(self, name: str) -> float:
        """By how much the last quarter's median is above that of the second, when all is warm."""
        values = [getattr(sample, name) for sample in self.samples]
        quarter = max(1, len(values) // 4)
        return float(np.median(values[-quarter:]) - np.median(values[quarter : 2 * quarter] or values))


class Bench:
    """The runner to be soaked and a clean one.

    Args:
        stack: what ends them.
    """

    def __init__(self, stack: contextlib.ExitStack) -> None:
        self.clean = stack.enter_context(Runner(_LIMITS))
        self._others = _children(os.getpid())
        self.runner = stack.enter_context(Runner(_LIMITS))

    def soak(
        self,
        minutes: float,
        documents: Sequence[Document],
        honest: Sequence[Block],
        random: np.random.Generator,
    ) -> Soak:
        """Run hostile jobs and honest blocks in turn until the time is over."""
        seen = Soak()
        start = time.monotonic()
        for job in itertools.count():
            if job % _JOBS_PER_HONEST_BLOCK == 0:
                self._time_honest(seen, honest[len(seen.clean) % len(honest)])
            minute = (time.monotonic() - start) / 60
            if minute >= minutes * len(seen.samples) / _SAMPLES:
                seen.samples.append(self._sample(minute))
            if minute >= minutes:
                break
            if job % _JOBS_PER_KILL == _JOBS_PER_KILL // 2:  # a hostile job pays for the new sandbox
                os.kill(random.choice([process for process in self._sandbox() if process]), signal.SIGKILL)
                seen.kills += 1
            document = documents[int(random.integers(len(documents)))]
            self._run_hostile(seen, document, random.permutation(len(document.programs)).tolist())
        return seen

    def _run_hostile(self, seen: Soak, document: Document, order: Sequence[int]) -> None:
        programs = [document.programs[index] for index in order[:_PROGRAMS_PER_JOB]]
        texts = [program.text for program in programs]
        outcomes = self.runner.run(texts, document.tests, document.entry_point)
        seen.programs += len(programs)
        for program, row in zip(programs, outcomes.verdicts, strict=True):
            names = ("not_run" if value == NOT_RUN else Verdict(value).name.lower() for value in row)
            seen.verdicts.update(names)
            seen.forged += 0 if program.may_pass else int((row == Verdict.PASSED).sum())

    def _time_honest(self, seen: Soak, block: Block) -> None:
        # Never the same text twice: a sandbox remembers what it has read until it is killed.
        candidates = [f"{text}\n# {len(seen.clean)}" for text in block.candidates]
        turns = [(self.runner, seen.soaked), (self.clean, seen.clean)]
        verdicts = []
        for runner, times in turns if len(seen.clean) % 2 else reversed(turns):
            start = time.perf_counter()
            verdicts.append(runner.run(candidates, block.tests, block.entry_point).verdicts)
            times.append(time.perf_counter() - start)
        seen.pairs += verdicts[0].size
        seen.wrong += int((verdicts[0] != verdicts[1]).sum())

    def _sandbox(self) -> tuple[int, int, int]:
        """The soaked runner's guard, zygote and nursery; the last is 0 while nobody misses it."""
        (guard,) = _children(os.getpid()) - self._others
        (sandbox_main,) = _children(guard)
        (fork_server,) = _children(sandbox_main) or {0}
        return guard, sandbox_main, fork_server

    def _sample(self, minute: float) -> Sample:
        memory = (_memory_mib(process) if process else 0.0 for process in (os.getpid(), *self._sandbox()))
        return Sample(minute, *memory, len(list(Path("/proc/self/fd").iterdir())))


def hostile_documents(outside: Path) -> list[Document]:
    """The hostile part of the corpus; ``OUTSIDE`` in its programs becomes the path of a directory."""
    documents = []
    for path in sorted(path for folder in _HOSTILE_FOLDERS for path in (CORPUS / folder).glob("*.yaml")):
        for content in yaml.safe_load_all(path.read_text()):
            if content.get("language", "python") != "python":
                continue
            kind = TestKind(content.get("kind", "unittest"))
            codes = content.get("tests") or [content["test"]]
            programs = [
                Program(text.replace("OUTSIDE", str(outside)), "passed" in phrase.split(" or "))
                for phrase, texts in content.items()
                if phrase not in _FIELDS
                for text in ([texts] if isinstance(texts, str) else texts.values())
            ]
            tests = tuple(UnitTest(path.stem, index, code, kind=kind) for index, code in enumerate(codes))
            documents.append(Document(content["entry_point"], tests, tuple(programs)))
    return documents


def honest_blocks(random: np.random.Generator) -> list[Block]:
    """A few small blocks of recorded candidates and tests."""
    found = recorded.blocks(recorded.recorded_problems(), recorded.random_pairs, random)
    large = (block for block in found if len(block.candidates) >= _HONEST_CANDIDATES)
    return [block.of(range(_HONEST_CANDIDATES)) for block in itertools.islice(large, _HONEST_BLOCKS)]


def traces(outside: Path) -> dict[str, object]:
    """All places where a sandbox could leave something behind, as they are now."""
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
    """Child processes that have not ended; those that were adopted and have are reaped by nobody here."""
    texts = (path.read_text() for path in Path(f"/proc/{process}/task").glob("*/children"))
    return {int(child) for text in texts for child in text.split() if not _has_ended(int(child))}


def _in_use() -> set[str]:
    """Directories where processes are, such as the scratch of somebody else's sandbox."""
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
    """Memory of a process that no file backs."""
    return sum(map(int, _MEMORY.findall(Path(f"/proc/{process}/status").read_text()))) / 1024


def _figures(seen: Soak, minutes: float, layers: Sequence[str], left: Sequence[str]) -> dict[str, Any]:
    soaked, clean = (seen.pairs / sum(times) for times in (seen.soaked, seen.clean))
    return {
        "minutes": minutes,
        "layers": layers,
        "hostile programs": seen.programs,
        "hostile verdicts": dict(seen.verdicts.most_common()),
        "forged": seen.forged,
        "sandbox killed": seen.kills,
        "honest pairs": seen.pairs,
        "honest verdicts that differ": seen.wrong,
        "honest pairs/s, soaked": round(soaked, 1),
        "honest pairs/s, clean": round(clean, 1),
        "ratio": round(soaked / clean, 4),
        "growth": {name: round(seen.growth(name), 3) for name in Sample._fields[1:]},
        "left behind": left,
    }


def _lasted(figures: dict[str, Any]) -> bool:
    return (
        not figures["left behind"]
        and figures["forged"] == figures["honest verdicts that differ"] == 0
        and figures["ratio"] >= _TOLERATED_RATIO
        and max(figures["growth"].values()) <= _TOLERATED_GROWTH
    )


def main() -> int:
    """Runs the soak; exit code 1 if anything is not as it should be."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=10.0, help="how long (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="half a minute")
    arguments = parser.parse_args()
    minutes = 0.5 if arguments.quick else arguments.minutes

    kernel.adopt_orphans()  # whatever loses its parent becomes visible as a child of this process
    random = np.random.default_rng(SEED)
    outside = Path(tempfile.mkdtemp(prefix="soak-"))
    outside.chmod(0o777)  # anybody could write here, if it were not for the sandbox
    try:
        documents, honest = hostile_documents(outside), honest_blocks(random)
        before = traces(outside)
        with contextlib.ExitStack() as stack:
            bench = Bench(stack)
            seen = bench.soak(minutes, documents, honest, random)
        after = traces(outside)
    finally:
        shutil.rmtree(outside)

    left = [place for place in before if before[place] != after[place]]
    figures = _figures(seen, minutes, bench.runner.layers, left)
    for sample in seen.samples[:: max(1, len(seen.samples) // 10)]:
        print(*(f"{name} {value:.1f}" for name, value in sample._asdict().items()), sep="  ")
    for name, figure in figures.items():
        print(f"{name}: {figure}")
    print("it lasts" if _lasted(figures) else "it does not last")
    print(json.dumps(figures))
    return 0 if _lasted(figures) else 1


if __name__ == "__main__":
    sys.exit(main())

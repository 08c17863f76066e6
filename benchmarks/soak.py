"""Endurance of a runner: mixed load for minutes, with as many hostile blocks as a machine can take.

python benchmarks/soak.py [--minutes 10] [--quick]

The hostile programs are those of the corpus in ``tests/executors/execution/corpus``: fork bombs, memory
bombs, crashes, sleepers, programs that fill the disk, close descriptors or forge verdicts. First all of
them are run in one block of 2,000 pairs, twice. Then come hostile blocks in random order. The sandbox's
processes are killed from outside at intervals. Between them, blocks of functions, of objects and with
looping programs are timed in turn on the soaked runner and on a clean one that runs nothing hostile, so a
busy machine slows both. Afterwards no process, mount, file or control group may be left. The last line is a
JSON object with all figures.
"""

import argparse
import contextlib
import gc
import itertools
import json
import math
import os
import re
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml
from block_shapes import BlockShape, BlockSource, ShapedBlock
from numpy.typing import NDArray
from own_processes import adopt_orphans, descendants
from recorded_blocks import recorded_problems

from testbudget.executors.execution.limits import TestLimits
from testbudget.executors.execution.runner import Runner
from testbudget.executors.execution.sandbox import kernel
from testbudget.rewards.problem import NOT_RUN, TestKind, UnitTest, Verdict
from testbudget.rewards.stdin_case import StdinCase

SEED = 0
CORPUS = Path(__file__).parents[1] / "tests" / "executors" / "execution" / "corpus"
_HOSTILE_FOLDERS = ("forging", "survival")
_FIELDS = frozenset("name entry_point kind language patience times test tests".split()) | {"wrong twins"}
_LIMITS = TestLimits(cpu_seconds=0.2, wall_seconds=0.5, memory_mib=256, max_timeouts=2)
_PROGRAMS_PER_BLOCK = 4
_BLOCKS_PER_HONEST_BLOCK = 5
_BLOCKS_PER_KILL = 25
_HONEST_SHAPES = (BlockShape(24, 8), BlockShape(8, 3, objects=True), BlockShape(20, 3, looping=0.05))
HOSTILE_PAIRS = 2000
_SAMPLES = 40
_OWN = "testbudget-"  # begins the names of scratch directories and control groups
_ALL_MODULES = "import asyncio, unittest.mock, numpy\n"  # which fork servers keep once a program names them
_MEMORY = re.compile(r"^(?:Pss_|Rss)(?:Anon|Shmem):\s+(\d+) kB$", re.MULTILINE)
_MEMORY_FILES = ("smaps_rollup", "status")  # the second one counts shared memory several times
_TOLERATED_GROWTH = 4.0  # MiB, or descriptors
_TOLERATED_RATIO = 0.8


class HostileProgram(NamedTuple):
    """A hostile program. ``may_pass``: the corpus allows it to pass."""

    name: str
    text: str
    may_pass: bool


@dataclass(frozen=True, slots=True)
class HostileDocument:
    """A document of the corpus: tests, and hostile programs to run on them."""

    entry_point: str | None
    tests: tuple[UnitTest, ...]
    programs: tuple[HostileProgram, ...]


class UsageSample(NamedTuple):
    """Usage at one moment: MiB of memory of this process and of the sandbox, its processes, descriptors."""

    minute: float
    runner_mib: float
    sandbox_mib: float
    processes: float
    descriptors: float


@dataclass(slots=True)
class SoakTotals:
    """Totals of a soak.

    Attributes:
        programs: hostile programs run.
        forged: names of programs that passed and must not.
        differing: pairs of the large block that passed only in one of two runs.
        kills: times that a process of the sandbox was killed from outside.
        verdicts: verdicts on hostile programs, by name.
        soaked, clean: seconds of each honest block on the two runners.
        pairs: pairs in all honest blocks.
        wrong: honest verdicts in which the two runners differ.
        differences: verdicts on the soaked and on the clean runner where they differ, with their counts.
        samples: of memory and descriptors.
    """

    programs: int = 0
    forged: Counter[str] = field(default_factory=Counter)
    differing: int = 0
    kills: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)
    soaked: list[float] = field(default_factory=list)
    clean: list[float] = field(default_factory=list)
    pairs: int = 0
    wrong: int = 0
    differences: Counter[str] = field(default_factory=Counter)
    samples: list[UsageSample] = field(default_factory=list)

    def growth(self, name: str) -> float:
        """Median of the last quarter of the samples minus that of the third quarter."""
        values = [getattr(sample, name) for sample in self.samples]
        quarter = max(1, len(values) // 4)
        return float(np.median(values[-quarter:]) - np.median(values[-2 * quarter : -quarter] or values))


class SoakTest:
    """The runner to be soaked and a clean one.

    Args:
        stack: ends their processes.
    """

    def __init__(self, stack: contextlib.ExitStack) -> None:
        self.clean = stack.enter_context(Runner(_LIMITS))
        self._others = descendants()
        self.runner = stack.enter_context(Runner(_LIMITS))

    def run_at_once(self, totals: SoakTotals, document: HostileDocument) -> None:
        """Run all programs of a document on all its tests, in one block, twice."""
        passed = [self._run_hostile(totals, document, document.programs) for _ in range(2)]
        totals.differing += int((passed[0] != passed[1]).sum())

    def soak(
        self,
        totals: SoakTotals,
        minutes: float,
        documents: Sequence[HostileDocument],
        source: BlockSource,
        random: np.random.Generator,
    ) -> None:
        """Run hostile and honest blocks in turn until the time is over, at least one of each."""
        honest = itertools.chain.from_iterable(map(source.row, itertools.cycle(_HONEST_SHAPES)))
        start = time.monotonic()
        self._load_all_modules()
        for number in itertools.count():
            if number % _BLOCKS_PER_HONEST_BLOCK == 0:
                self._time_honest(totals, next(honest))
            minute = (time.monotonic() - start) / 60
            if minute >= minutes * len(totals.samples) / _SAMPLES:
                totals.samples.append(self._sample(minute))
            if minute >= minutes and number > 0:
                break
            if number % _BLOCKS_PER_KILL == _BLOCKS_PER_KILL // 2:
                os.kill(random.choice(sorted(self._sandbox())), signal.SIGKILL)
                totals.kills += 1
                self._load_all_modules()  # in a new sandbox, if it has ended
            document = documents[int(random.integers(len(documents)))]
            order = random.permutation(len(document.programs))[:_PROGRAMS_PER_BLOCK]
            self._run_hostile(totals, document, [document.programs[index] for index in order.tolist()])

    def _load_all_modules(self) -> None:
        """Have all fork servers load what programs may make them load, so that samples can be compared."""
        tests = [UnitTest("modules", 0, f"{_ALL_MODULES}assert f() == 1", kind=TestKind.ASSERT)]
        judged = self.runner.run([f"{_ALL_MODULES}def f(): return 1"], tests, "f")
        assert judged.verdicts.tolist() == [[Verdict.PASSED]]

    def _run_hostile(
        self, totals: SoakTotals, document: HostileDocument, programs: Sequence[HostileProgram]
    ) -> NDArray[np.bool_]:
        texts = [program.text for program in programs]
        judged = self.runner.run(texts, document.tests, document.entry_point)
        totals.programs += len(programs)
        for program, row in zip(programs, judged.verdicts, strict=True):
            totals.verdicts.update(map(_verdict_name, row))
            if not program.may_pass and (row == Verdict.PASSED).any():
                totals.forged[program.name] += int((row == Verdict.PASSED).sum())
        return judged.verdicts == Verdict.PASSED

    def _time_honest(self, totals: SoakTotals, block: ShapedBlock) -> None:
        turns = [(self.runner, totals.soaked), (self.clean, totals.clean)]
        verdicts = []
        clean_first = len(totals.clean) % 2 == 0
        for runner, times in reversed(turns) if clean_first else turns:
            start = time.perf_counter()
            verdicts.append(runner.run(block.candidates, block.tests, block.entry_point).verdicts)
            times.append(time.perf_counter() - start)
        totals.pairs += verdicts[0].size
        if clean_first:
            verdicts.reverse()
        differing = verdicts[0] != verdicts[1]
        totals.wrong += int(differing.sum())
        totals.differences.update(
            " / ".join(map(_verdict_name, pair))
            for pair in zip(*(v[differing] for v in verdicts), strict=True)
        )

    def _sandbox(self) -> set[int]:
        """Ids of all processes of the soaked runner's sandbox."""
        return descendants() - self._others

    def _sample(self, minute: float) -> UsageSample:
        gc.collect()
        kernel.tidy_memory()  # what is free is none of this process's
        sandbox = self._sandbox()
        memory = sum(map(_memory_mib, sandbox))
        descriptors = len(list(Path("/proc/self/fd").iterdir()))
        return UsageSample(minute, _memory_mib(os.getpid()), memory, len(sandbox), descriptors)


def _verdict_name(value: int) -> str:
    return "not_run" if value == NOT_RUN else Verdict(value).name.lower()


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
                HostileProgram(
                    f"{path.stem}: {name}",
                    text.replace("OUTSIDE", str(outside)),
                    "passed" in phrase.split(" or "),
                )
                for phrase, texts in content.items()
                if phrase not in _FIELDS
                for name, text in ({phrase: texts} if isinstance(texts, str) else texts).items()
            ]
            if kind is TestKind.STDIN:
                codes = [StdinCase(**code).as_text() for code in codes]
            tests = tuple(UnitTest(path.stem, index, code, kind=kind) for index, code in enumerate(codes))
            documents.append(HostileDocument(content.get("entry_point"), tests, tuple(programs)))
    return documents


def all_at_once(documents: Sequence[HostileDocument], pairs: int) -> HostileDocument:
    """All hostile programs on the tests of the document that has most of them, a number of pairs in all.

    Programs of the other documents do their harm while they are loaded; they may not pass these tests.
    """
    largest = max(
        (document for document in documents if document.entry_point is not None),
        key=lambda document: len(document.programs),
    )
    programs = [*largest.programs]
    for document in documents:
        if document.entry_point != largest.entry_point:
            programs += [program._replace(may_pass=False) for program in document.programs]
    wanted = math.ceil(pairs / len(programs))
    tests = itertools.islice(itertools.cycle(largest.tests), wanted)
    numbered = tuple(
        replace(test, index=index, code=f"{test.code}\n# {index}") for index, test in enumerate(tests)
    )
    return HostileDocument(largest.entry_point, numbered, tuple(programs))


def system_state(outside: Path) -> dict[str, object]:
    """Everything on this machine where a sandbox could leave something behind."""
    groups = {path for path, *_ in os.walk("/sys/fs/cgroup") if f"{_OWN}{os.getpid()}-" in path}
    return {
        "processes": descendants(),
        "mounts": [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if _OWN in line],
        "files": {str(path) for path in Path(tempfile.gettempdir()).glob(f"{_OWN}*")} - _in_use(),
        "files outside": {path.name: path.read_text() for path in outside.iterdir()},
        "control groups": groups,
        "shared memory": Path("/proc/sysvipc/shm").read_text(),
    }


def _in_use() -> set[str]:
    """Working directories of all processes, such as the scratch directory of another sandbox."""
    found = set()
    for link in Path("/proc").glob("[0-9]*/cwd"):
        with contextlib.suppress(OSError):
            found.add(str(link.readlink()))
    return found


def _memory_mib(process: int) -> float:
    """MiB of memory of a process that no file backs, its part of what it shares; 0 if it has ended."""
    for name in _MEMORY_FILES:
        with contextlib.suppress(OSError):
            return sum(map(int, _MEMORY.findall(Path(f"/proc/{process}/{name}").read_text()))) / 1024
    return 0.0


def _figures(
    totals: SoakTotals, minutes: float, layers: Sequence[str], left: Sequence[str]
) -> dict[str, Any]:
    soaked, clean = (totals.pairs / sum(times) for times in (totals.soaked, totals.clean))
    return {
        "minutes": minutes,
        "layers": layers,
        "hostile programs": totals.programs,
        "hostile verdicts": dict(totals.verdicts.most_common()),
        "forged": dict(totals.forged),
        "passed in one of two large blocks": totals.differing,
        "sandbox killed": totals.kills,
        "honest pairs": totals.pairs,
        "honest verdicts that differ": totals.wrong,
        "differences": dict(totals.differences),
        "honest pairs/s, soaked": round(soaked, 1),
        "honest pairs/s, clean": round(clean, 1),
        "ratio": round(soaked / clean, 4),
        "growth": {name: round(totals.growth(name), 3) for name in UsageSample._fields[1:]},
        "left behind": left,
    }


def _bounds_kept(figures: dict[str, Any]) -> bool:
    return (
        not figures["left behind"]
        and not figures["forged"]
        and figures["honest verdicts that differ"] == figures["passed in one of two large blocks"] == 0
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
    totals = SoakTotals()

    adopt_orphans()
    random = np.random.default_rng(SEED)
    outside = Path(tempfile.mkdtemp(prefix="soak-"))
    outside.chmod(0o777)  # writable for everybody outside the sandbox
    try:
        documents, source = hostile_documents(outside), BlockSource(recorded_problems(), random)
        before = system_state(outside)
        with contextlib.ExitStack() as stack:
            soak_test = SoakTest(stack)
            soak_test.run_at_once(totals, all_at_once(documents, HOSTILE_PAIRS))
            soak_test.soak(totals, minutes, documents, source, random)
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

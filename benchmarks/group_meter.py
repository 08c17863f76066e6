"""CPU time of the sandboxes of another process by the kernel's own count: a meter that reads no books."""

import contextlib
import os
import threading
from dataclasses import dataclass
from pathlib import Path

from testbudget.executors.execution.sandbox import cgroups

_PAUSE_SECONDS = 0.004
_PREFIX = "testbudget-"


@dataclass(slots=True)
class Group:
    """Control group of one sandbox.

    Attributes:
        guard: id of the process that created it.
        worker: id of the parent of that process: where the runner lives.
        seconds: CPU-seconds of all processes inside, the largest count that was read.
        open: False once it was removed.
    """

    guard: int
    worker: int
    seconds: float = 0.0
    open: bool = True


class GroupMeter:
    """Thread that reads the counts of the control groups of descendants, those of removed ones included.

    A context manager. The first group that a run creates is that of the check of its isolation layers,
    which does no work and is not charged; it is not counted.

    Attributes:
        groups: groups by name, in the order of their appearance.
        samples: number of readings.
        most: largest sum of one reading, in CPU-seconds.
    """

    def __init__(self) -> None:
        own = Path("/proc/self")
        found = cgroups.parent_directories((own / "mountinfo").read_text(), (own / "cgroup").read_text())
        self._parents = {Path(directory) for directories in found for directory in directories}
        self._foreign = {path.name for parent in self._parents for path in parent.glob(f"{_PREFIX}*")}
        self.groups: dict[str, Group] = {}
        self._files: dict[str, Path] = {}
        self.samples, self.most = 0, 0.0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._poll, daemon=True)

    def __enter__(self) -> "GroupMeter":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    @property
    def counted(self) -> list[Group]:
        """All groups but the first."""
        return list(self.groups.values())[1:]

    @property
    def check_seconds(self) -> float:
        """CPU-seconds of the check of the isolation layers."""
        return next(iter(self.groups.values())).seconds if self.groups else 0.0

    def _poll(self) -> None:
        while not self._done.wait(_PAUSE_SECONDS):
            for parent in self._parents:
                for entry in os.scandir(parent):
                    if entry.name.startswith(_PREFIX) and entry.name not in self._foreign:
                        self._meet(entry.name, parent)
            for name, group in self.groups.items():
                if group.open:
                    self._read(name, group)
            self.samples += 1
            self.most = max(self.most, sum(group.seconds for group in self.counted))

    def _meet(self, name: str, parent: Path) -> None:
        file = next((f for f in ("cpuacct.usage", "cpu.stat") if (parent / name / f).exists()), None)
        if name in self.groups or file is None:
            return
        guard = int(name.split("-")[2])
        worker = _parent(guard)
        if worker is None:
            return
        if _descends_from(worker, os.getpid()):
            self._files[name] = parent / name / file
            self.groups[name] = Group(guard, worker)
        else:
            self._foreign.add(name)

    def _read(self, name: str, group: Group) -> None:
        try:
            text = self._files[name].read_text()
        except OSError:
            group.open = False
            return
        fields = text.split()
        seconds = int(fields[0]) * 1e-9 if len(fields) == 1 else int(fields[1]) * 1e-6
        group.seconds = max(group.seconds, seconds)


def _descends_from(process: int, ancestor: int) -> bool:
    current: int | None = process
    while current is not None and current > 1:
        if current == ancestor:
            return True
        current = _parent(current)
    return False


def _parent(process: int) -> int | None:
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
    return None

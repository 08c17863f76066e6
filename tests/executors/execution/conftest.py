import ctypes
import os
import struct
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy
import pytest

from testbudget.executors.execution.limits import TestLimits
from testbudget.executors.execution.runner import Runner
from testbudget.executors.execution.sandbox import kernel

LIMITS = {
    "usual": TestLimits(cpu_seconds=0.4, memory_mib=128),
    "short": TestLimits(cpu_seconds=0.15, wall_seconds=0.5, memory_mib=128, max_timeouts=2),
    "long": TestLimits(cpu_seconds=0.6, wall_seconds=2.0, max_timeouts=1),
}
REPOSITORY = Path(__file__).parents[3]
NOBODY = 65534
UNSHARE = {"x86_64": 272, "aarch64": 97}
SETGROUPS, SETRESGID, SETRESUID = {"x86_64": (116, 119, 117), "aarch64": (159, 149, 147)}[
    os.uname().machine
]


def refuse_namespaces():
    """Refuse namespaces to the calling thread and its descendants, as many containers do."""
    program = [
        (0x20, 0, 0, 0),  # load the system call's number
        (0x15, 0, 1, UNSHARE[os.uname().machine]),
        (0x06, 0, 0, 0x00050001),  # operation not permitted
        (0x06, 0, 0, 0x7FFF0000),  # allowed
    ]
    kernel.forbid_new_privileges()
    kernel.SeccompFilter(b"".join(struct.pack("<HBBI", *instruction) for instruction in program)).install()


def become_an_ordinary_user():
    """Give the calling thread and its descendants an ordinary user that can read the needed files.

    The system calls are used directly, because the C library would change all threads of the process.
    """
    kernel.unshare(kernel.CLONE_NEWNS)
    kernel.mount("none", "/", flags=kernel.MS_REC | kernel.MS_PRIVATE)
    show_to_all([sys.base_prefix, str(REPOSITORY), str(Path(numpy.__file__).parents[1])])
    kernel.system_call(SETGROUPS, 0, ctypes.c_void_p())
    kernel.system_call(SETRESGID, NOBODY, NOBODY, NOBODY)
    kernel.system_call(SETRESUID, NOBODY, NOBODY, NOBODY)


def show_to_all(directories):
    """Mount directories at their own paths, below parents that all users may enter."""
    closed = {}
    for directory in directories:
        for place in reversed(Path(directory).parents):
            if not place.stat().st_mode & 0o001:
                closed.setdefault(place, {})[directory] = kernel.detached_copy(directory)
                break
    for place, copies in closed.items():
        kernel.mount("tmpfs", str(place), "tmpfs", options="mode=0755,size=1m")
        for directory, copy in copies.items():
            Path(directory).mkdir(parents=True, exist_ok=True)
            kernel.attach(copy, directory)


MODES = {
    "every layer": lambda: None,
    "ordinary user": become_an_ordinary_user,
    "no namespaces": refuse_namespaces,
    "ordinary user, no namespaces": lambda: (become_an_ordinary_user(), refuse_namespaces()),
}


class ThreadRunner:
    """A runner in a thread of its own, whose sandboxes inherit the restrictions of the thread."""

    def __init__(self, mode, limits, language):
        self._thread = ThreadPoolExecutor(1, initializer=MODES[mode])
        self._runner = self._thread.submit(Runner, limits, language=language).result()

    @property
    def layers(self):
        return self._runner.layers

    @property
    def missing(self):
        return self._runner.missing

    def run(self, *arguments, **options):
        return self.start(*arguments, **options).result()

    def start(self, *arguments, **options):
        return self._thread.submit(self._runner.run, *arguments, **options)

    def call(self, *arguments):
        return self._thread.submit(self._runner.call, *arguments).result()

    def close(self):
        self._thread.submit(self._runner.close).result()
        self._thread.shutdown()


class Runners:
    """The runners of one mode, each started on first use."""

    def __init__(self, mode):
        self._mode = mode
        self._started = {}

    def __call__(self, language="python", patience="usual"):
        if (language, patience) not in self._started:
            self._started[language, patience] = ThreadRunner(self._mode, LIMITS[patience], language)
        return self._started[language, patience]

    def __len__(self):
        return len(self._started)

    def close(self):
        for runner in self._started.values():
            runner.close()


def available_modes():
    """All modes for root; an ordinary user cannot become another user."""
    return [mode for mode in MODES if os.geteuid() == 0 or "user" not in mode]


@pytest.fixture(autouse=True)
def main_module(monkeypatch):
    """The program that runs the tests stays ``__main__``, which new processes of the suite look for."""
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])


@pytest.fixture(scope="session")
def every_mode():
    """Runners of every mode, by mode."""
    modes = {mode: Runners(mode) for mode in available_modes()}
    yield modes
    for runners in modes.values():
        runners.close()


@pytest.fixture(scope="session", params=available_modes())
def runner(every_mode, request):
    return every_mode[request.param]()

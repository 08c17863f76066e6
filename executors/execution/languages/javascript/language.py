"""JavaScript as a language of candidates and tests: Node, with ``node:test`` and ``node:assert``.

The programs in ``harness`` do the work. Each of a candidate's or test's processes turns into Node with all
of them as its program text, so that nothing of ours has to be readable inside the sandbox.
"""

import json
import os
import resource
import shutil
import tempfile
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path as FilePath
from typing import Any, NoReturn

from testbudget.executors.execution.languages.base import Job, Language, Path, Program, Source
from testbudget.executors.execution.processes.process import ProcessRunner
from testbudget.executors.execution.processes.result_buffer import ResultBuffer

_MODULES = (
    "protocol arena realm values programs guess cases reading calling judging main".split()
)  # each after those that it requires
_ARENA_BYTES = 32 << 20
_FLAGS = (
    "--random-seed=1",  # chance must not decide a verdict
    "--v8-pool-size=0",  # no threads for what one thread can do
    "--no-warnings",
    "--openssl-config=/dev/null",  # the usual one may be out of sight, which ends Node at its start
)


class JavaScript(Language):
    """Programs are read, run and judged by Node, which every process starts anew.

    A program is an ES module or a CommonJS one, and the content of a ``Program`` is its text, with what
    ``read`` has found of a test. What cannot be judged apart is not judged. No candidate is called
    innocent: a realm keeps honest programs apart, but a hostile one finds its way out of it.

    Attributes:
        programs: the path of Node, its bare name where it is not installed.
    """

    def __init__(self) -> None:
        node = shutil.which("node")
        self.programs = ("node" if node is None else str(FilePath(node).resolve()),)
        folder = files(__package__).joinpath("harness")
        texts = {name: folder.joinpath(f"{name}.js").read_text("utf-8") for name in _MODULES}
        self._harness = _bundle(texts)  # now, for inside there is no such folder

    def read(self, buffer: ResultBuffer, sources: Sequence[Source], entry_point: str | None) -> None:
        """Compile; for a test, also see how it uses the candidate."""
        self._become_node(buffer, read=sources, entryPoint=entry_point)

    def program(self, left: bytes) -> Program:
        """What ``read`` has left; the content is the text, for a test with what was found of it."""
        found = json.loads(left)
        return Program(found["content"], tidy=found["tidy"], apart=found.get("apart", False))

    def defines(self, candidate: Program, names: Sequence[str]) -> bool:  # noqa: ARG002
        """A test finds functions in a candidate, and nothing else."""
        return False

    def make_calls(
        self,
        buffer: ResultBuffer,
        process_runner: ProcessRunner,  # noqa: ARG002
        jobs: Sequence[Job],
        entry_point: str | None,
    ) -> None:
        """In a realm of its own for each job."""
        texts = [[candidate.content, calls] for candidate, calls in jobs]
        self._become_node(buffer, jobs=texts, entryPoint=entry_point)

    def judge(self, buffer: ResultBuffer, plays: Sequence[tuple[Program, Path]]) -> None:
        """In a realm of its own for each play, with stand-ins among its globals."""
        self._become_node(buffer, plays=[[test.content, path] for test, path in plays])

    def _become_node(self, buffer: ResultBuffer, **task: Any) -> NoReturn:
        """Replace the program of this process by Node; the task goes with it as a file without a name."""
        descriptor = os.dup(buffer.descriptor)  # one that is inherited
        os.set_inheritable(descriptor, True)
        file = tempfile.TemporaryFile(dir=".")  # noqa: SIM115 - it outlives this program
        file.write(json.dumps(task).encode())
        file.seek(0)
        os.set_inheritable(file.fileno(), True)
        longest_file, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
        room = _ARENA_BYTES if longest_file == resource.RLIM_INFINITY else min(longest_file, _ARENA_BYTES)
        numbers = (descriptor, file.fileno(), room)
        os.execv(self.programs[0], ["node", *_FLAGS, "-e", self._harness, *map(str, numbers)])


def _bundle(texts: dict[str, str]) -> str:
    """One program of several modules: each a function, run where it stands, found by the later ones."""
    parts = [
        f"bundled[{f'./{name}'!r}] = ((module) => {{ ((module, require) => {{\n{text}\n"
        f"}})(module, bundledRequire); return module.exports; }})({{ exports: {{}} }});"
        for name, text in texts.items()
    ]
    loading = "const bundled = {}; const bundledRequire = (name) => bundled[name] ?? require(name);"
    return "\n".join(["'use strict';", loading, *parts])

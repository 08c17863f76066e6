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

from executors.execution.arena import Arena
from executors.execution.languages.base import Language, Path, Program, Source
from executors.execution.process import Station
from rewards.problem import TestKind

_MODULES = (
    "protocol arena realm values programs guess cases reading calling judging main".split()
)  # each after those that it requires
_ARENA_BYTES = 32 << 20
_FLAGS = (
    "--random-seed=1",  # chance must not decide a verdict
    "--v8-pool-size=0",  # no threads for what one thread can do
    "--no-warnings",
)


class JavaScript(Language):
    """Programs are read, run and judged by Node, which every process starts anew.

    A program is an ES module or a CommonJS one, and the content of a ``Program`` is its text, with what
    ``read`` has found of a test. What cannot be judged apart is not judged.

    Attributes:
        programs: the path of Node, empty where it is not installed.
    """

    def __init__(self) -> None:
        node = shutil.which("node")
        self.programs = () if node is None else (str(FilePath(node).resolve()),)
        self._harness = ""

    def preload(self) -> None:
        """Read the harness, which will be out of reach later."""
        folder = files(__package__).joinpath("harness")
        texts = {name: folder.joinpath(f"{name}.js").read_text("utf-8") for name in _MODULES}
        self._harness = _bundle(texts)

    def read(self, arena: Arena, sources: Sequence[Source], entry_point: str | None) -> None:
        """Compile; for a test, also see how it uses the candidate."""
        self._become_node(
            arena, read=[[text, kind is not None] for text, kind in sources], entryPoint=entry_point
        )

    def program(self, source: Source, left: bytes) -> Program:
        """What ``read`` has left, with the text itself."""
        found = json.loads(left)
        return Program((source, None), found["apart"], tuple(found.get("functions", ())))

"""JavaScript as a `Language`, with ``node:test`` and ``node:assert`` of Node.

The modules in ``harness`` do the work. A process executes Node with all of them as its program text, so
that no file of this project has to be readable inside the sandbox.
"""

import json
import os
import resource
import shutil
import tempfile
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, NoReturn

from testbudget.executors.execution.languages.base import (
    CallJobs,
    CallPath,
    Connection,
    Language,
    LanguageSample,
    Program,
    Source,
)
from testbudget.executors.execution.languages.javascript.notation import javascript_value
from testbudget.executors.execution.languages.javascript.stack_reason import (
    MODULE_FILE,
    SCRIPT_FILE,
    stack_reason,
)
from testbudget.executors.execution.languages.program_runs import ProgramEnd, ProgramSample
from testbudget.executors.execution.processes.process import ProcessRunner
from testbudget.executors.execution.processes.result_buffer import ResultBuffer
from testbudget.rewards.problem import Verdict
from testbudget.rewards.verdict_reason import VerdictReason

_COMMON_MODULES = "protocol reasons result_buffer programs node_test numbers test_run loading"
_PLAIN_MODULES = f"{_COMMON_MODULES} realm values placeholder compile calls judge main"
_OBJECT_MODULES = (
    f"{_COMMON_MODULES} wire intrinsics plain_data carrier session mirrors operations scripts access clock"
    " waits watch comparisons patches serving judging main"
)  # each after the modules that it requires
_STANDARD_INPUT = ".standard_input.js"
_BUFFER_BYTES = 32 << 20
_FLAGS = (
    "--random-seed=1",  # random numbers must not decide a verdict
    "--v8-pool-size=0",  # no helper threads
    "--no-warnings",
    "--openssl-config=/dev/null",  # the default file may be hidden, with which Node does not start
)
_NO_PROTO = "--disable-proto=delete"  # data of a candidate must not reach the prototypes of a judge process
_NO_EVAL = "--disallow-code-generation-from-strings"


class JavaScript(Language):
    """JavaScript programs, compiled, run and judged by Node.

    Every process starts Node anew. A program is an ES module or a CommonJS module. The content of a
    `Program` is its text; for a test also the properties that `compile_sources` found.

    Attributes:
        programs: path of Node; the bare name if it is not installed.
    """

    sample = LanguageSample(
        "function double(x) {{ return x * 2 + {} * 0; }}",
        "function double(x) { return x + 2; }",
        "function double(x) { while (true); }",
        "require('node:assert').strictEqual(double({0}), {0} * 2);",
    )

    program_sample = ProgramSample(
        "console.log(Number(require('fs').readFileSync(0, 'utf8')) * 2 + {} * 0);",
        "console.log(Number(require('fs').readFileSync(0, 'utf8')) + 2);",
        "while (true);",
        "console.log(",
        "console.log(Number(require('fs').readFileSync(0, 'utf8')) * 2); process.exit(3);",
    )
    judges_objects = True
    runs_programs = True

    def __init__(self) -> None:
        node = shutil.which("node")
        self.programs = ("node" if node is None else str(Path(node).resolve()),)
        self._plain_harness = _bundle(_PLAIN_MODULES)  # the folder is hidden inside the sandbox
        self._object_harness = _bundle(_OBJECT_MODULES)
        self._standard_input = files(__package__).joinpath("harness/standard_input.js").read_text("utf-8")

    def what_is_missing(self) -> str | None:
        """Sentence that names Node if it is not installed."""
        if shutil.which("node") is None:
            return "JavaScript needs node, which is not installed; Debian's package is nodejs"
        return None

    def compile_sources(
        self, buffer: ResultBuffer, sources: Sequence[Source], entry_point: str | None
    ) -> None:
        """Compile each source; for a test, also find the functions that it calls."""
        self._execute_node(buffer, sources=sources, entryPoint=entry_point)

    def decode_program(self, text: bytes) -> Program:
        """Program whose content is its text; for a test, an object with its text and properties."""
        found = json.loads(text)
        return Program(
            found["content"],
            self_contained=found["selfContained"],
            plain_calls=found.get("plainCalls", False),
        )

    def run_program(self, process_runner: ProcessRunner, artefact: int) -> NoReturn:
        """Replace this process by Node, which loads the program from a file in the working directory."""
        program = json.loads(os.pread(artefact, os.fstat(artefact).st_size, 0))
        name = MODULE_FILE if program["module"] else SCRIPT_FILE
        Path(name).write_text(program["text"], "utf-8", "replace")
        Path(_STANDARD_INPUT).write_text(self._standard_input, "utf-8")
        directory = process_runner.directory
        required = ("-r", f"{directory}/{_STANDARD_INPUT}")
        os.execv(self.programs[0], ["node", *_FLAGS, *required, f"{directory}/{name}"])

    def failure_reason(self, end: ProgramEnd) -> tuple[Verdict, VerdictReason]:
        """Verdict and reason of a program that failed, from the stack trace that Node prints."""
        return stack_reason(end)

    def defines_any(self, candidate: Program, names: Sequence[str]) -> bool:  # noqa: ARG002
        """Return False, because tests use only functions of a candidate."""
        return False

    def own_arguments(self, arguments: Sequence[Any]) -> Sequence[Any]:
        """JavaScript's counterparts; keyword arguments, which it lacks, come behind the others."""
        positional, *keywords = arguments
        named = [item for entries in keywords for _, item in entries["dict"]]
        return [[javascript_value(item) for item in (*positional, *named)]]

    def make_calls(
        self,
        buffer: ResultBuffer,
        process_runner: ProcessRunner,  # noqa: ARG002
        jobs: CallJobs,
        entry_point: str | None,
    ) -> None:
        """Load and call the candidate in a realm of its own for each job."""
        channel = _inherited([jobs.calls.descriptor])
        self._execute_node(
            buffer,
            jobs=jobs.number,
            text=jobs.candidate.content,
            channel=channel[0],
            entryPoint=entry_point,
        )

    def judge(self, buffer: ResultBuffer, replays: Sequence[tuple[Program, CallPath]]) -> None:
        """Run each test in a realm of its own, with stand-ins among its globals."""
        flags = _judge_flags([test for test, _ in replays])
        self._execute_node(buffer, flags, replays=[[test.content, path] for test, path in replays])

    def judge_objects(
        self,
        buffer: ResultBuffer,
        connection: Connection,
        test: Program,
        entry_point: str | None,  # noqa: ARG002 - the test holds it
    ) -> bool:
        """Run the test in Node, with proxies for what the candidate defines."""
        flags = (*_judge_flags([test]), _NO_EVAL)
        self._execute_node(buffer, flags, test=test.content, connection=_inherited(connection))
        return False

    def serve_objects(
        self, buffer: ResultBuffer, connection: Connection, candidate: Program, entry_point: str | None
    ) -> None:
        """Load the candidate in Node and serve its objects."""
        self._execute_node(
            buffer, candidate=candidate.content, connection=_inherited(connection), entryPoint=entry_point
        )

    def object_state(
        self, buffer: ResultBuffer, candidate: Program, script: str, entry_point: str | None
    ) -> None:
        """Load the candidate in Node and repeat the script there."""
        self._execute_node(buffer, candidate=candidate.content, script=script, entryPoint=entry_point)

    def _execute_node(
        self, buffer: ResultBuffer, flags: Sequence[str] = (), **instructions: Any
    ) -> NoReturn:
        """Replace this process by Node; the instructions are passed on as an unnamed file."""
        harness = (
            self._object_harness
            if "connection" in instructions or "script" in instructions
            else self._plain_harness
        )
        descriptor = os.dup(buffer.descriptor)  # inherited, unlike the original
        os.set_inheritable(descriptor, True)
        file = tempfile.TemporaryFile(dir=".")  # noqa: SIM115 - Node reads it
        file.write(json.dumps(instructions).encode())
        file.seek(0)
        os.set_inheritable(file.fileno(), True)
        longest_file, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
        unlimited = longest_file == resource.RLIM_INFINITY
        writable_bytes = _BUFFER_BYTES if unlimited else min(longest_file, _BUFFER_BYTES)
        numbers = (descriptor, file.fileno(), writable_bytes)
        os.execv(self.programs[0], ["node", *_FLAGS, *flags, "-e", harness, *map(str, numbers)])


def _judge_flags(tests: Sequence[Program]) -> Sequence[str]:
    """Flags of a process that runs these tests."""
    return () if any("__proto__" in test.content["text"] for test in tests) else (_NO_PROTO,)


def _inherited(descriptors: Sequence[int]) -> list[int]:
    """Descriptors of connections for a program that this process executes."""
    for descriptor in descriptors:
        os.set_inheritable(descriptor, True)
        os.set_blocking(descriptor, True)
    return list(descriptors)


def _bundle(names: str) -> str:
    """Program text of several modules; each is a function, run in order and visible to later ones."""
    folder = files(__package__).joinpath("harness")
    parts = [
        f"bundled['./{name}'] = ((module) => {{ ((module, require, process) => {{\n"
        f"{folder.joinpath(f'{name}.js').read_text('utf-8')}\n"
        f"}})(module, bundledRequire, globalThis.process); return module.exports; }})({{ exports: {{}} }});"
        for name in names.split()
    ]
    loading = "const bundled = {}; const bundledRequire = (name) => bundled[name] ?? require(name);"
    return "\n".join(["'use strict'; {", loading, *parts, "}"])

"""TypeScript: esbuild removes the types, and Node runs and judges the rest as JavaScript."""

import json
from collections.abc import Sequence
from pathlib import Path

from testbudget.executors.execution.languages.base import LanguageSample, Source
from testbudget.executors.execution.languages.compiled.compiler_run import (
    CompileError,
    run_compiler,
    tool_path,
)
from testbudget.executors.execution.languages.javascript.language import JavaScript
from testbudget.executors.execution.languages.messages import StepMessage
from testbudget.executors.execution.languages.program_runs import ProgramSample
from testbudget.executors.execution.processes.result_buffer import ResultBuffer
from testbudget.executors.execution.sandbox.toolchain import Toolchain

_SOURCE, _RESULT = "main.ts", "main.js"
_SETTINGS = json.dumps({"compilerOptions": {"experimentalDecorators": True}})
_OPTIONS = (
    *("--loader=ts", "--target=es2022", f"--tsconfig-raw={_SETTINGS}"),
    *("--log-level=error", "--log-limit=1", "--color=false"),
)
_READ = "import * as fs from 'fs'; const x: number = Number(fs.readFileSync(0, 'utf8'));"


class TypeScript(JavaScript):
    """TypeScript programs and functions.

    Errors in types are none here: esbuild does not check them. Enums, decorators, namespaces and properties
    declared by the parameters of a constructor become JavaScript.
    """

    tags = ("ts", "tsx", "mts", "cts")
    sample = LanguageSample(
        "function double(x: number): number {{ return x * 2 + {} * 0; }}",
        "function double(x: number): number { return x + 2; }",
        "function double(x: number): number { while (true); }",
        "require('node:assert').strictEqual(double({0} as number), {0} * 2);",
    )
    program_sample = ProgramSample(
        right=f"{_READ} console.log(2 * x + 0 * {{}});",
        wrong=f"{_READ} console.log(2 + x);",
        looping="for (;;);",
        broken="const x: number = ;",
        failing=f"{_READ} console.log(2 * x); process.exit(3);",
    )

    def what_is_missing(self) -> str | None:
        """Sentence that names esbuild or Node if it is not installed."""
        if tool_path("esbuild") is None:
            return "TypeScript programs need esbuild, which is not installed; Debian's package is esbuild"
        return super().what_is_missing()

    def prepare(self) -> None:
        """Find Node and esbuild."""
        super().prepare()
        found = tool_path("esbuild")
        if found is not None:
            self.toolchain = Toolchain(compilers=(found,))

    def compile_sources(
        self, buffer: ResultBuffer, sources: Sequence[Source], entry_point: str | None
    ) -> None:
        """Remove the types of the only source, then compile it as JavaScript."""
        (source,) = sources
        Path(_SOURCE).write_text(source.text, "utf-8", "replace")
        command = (self.toolchain.compilers[0], f"--sourcefile={_SOURCE}", *_OPTIONS)
        buffer.begin(0)
        buffer.mark_loaded()
        try:
            run_compiler(command, reads=_SOURCE, writes=_RESULT)
        except CompileError as error:
            message = [StepMessage.NOT_COMPILED, error.reason.as_message()]
            buffer.append(0, json.dumps(message).encode())
            buffer.finish(0)
            return
        text = Path(_RESULT).read_text("utf-8")
        super().compile_sources(buffer, [source._replace(text=text)], entry_point)

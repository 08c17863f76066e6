"""C++, compiled by GCC."""

import contextlib
import re
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from testbudget.executors.execution.languages.compiled.compiled_language import (
    CompiledLanguage,
    Tool,
)
from testbudget.executors.execution.languages.compiled.compiler_run import (
    CompileError,
    run_compiler,
)
from testbudget.executors.execution.languages.compiled.failure_patterns import (
    LIBC_ASSERTION,
    FailurePattern,
)
from testbudget.executors.execution.languages.compiled.gcc import GCC_FLAGS, HEADERS, gcc_helpers
from testbudget.executors.execution.languages.compiled.prepared_files import prepared_directory
from testbudget.executors.execution.languages.program_runs import ProgramSample
from testbudget.rewards.problem import Verdict

_NEW, _OLD = "-std=gnu++20", "-std=gnu++17"
_ALL_HEADERS = "bits/stdc++.h"
_PRECOMPILED = "cpp-headers"
_MAIN = "#include <bits/stdc++.h>\nint main() { volatile int x; int y; std::cin >> y; x = y; %s }"


class Cpp(CompiledLanguage):
    """C++ programs, in the dialect of 2020, or else in that of 2017.

    The header ``bits/stdc++.h``, which includes all others, is compiled once per machine. A program that
    includes it then takes a quarter of the time.
    """

    tags = ("c++", "cc", "cxx")
    title = "C++"
    tools = (Tool("g++", "g++"),)
    source_name = "main.cpp"
    failure_patterns = (
        FailurePattern(
            re.compile(r"instance of '(?P<exception>std::bad_\w*alloc)'"), Verdict.OUT_OF_MEMORY
        ),
        FailurePattern(
            re.compile(r"instance of '(?P<exception>[^'\n]+)'(?:\n +what\(\): +(?P<message>.*))?")
        ),
        LIBC_ASSERTION,
    )
    program_sample = ProgramSample(
        right=_MAIN.replace("{", "{{").replace("}", "}}") % "std::cout << 2 * x + 0 * {};",
        wrong=_MAIN % "std::cout << 2 + x;",
        looping=_MAIN % "for (;; x = x + 1);",
        broken="int main() { return undefined; }",
        failing=_MAIN % "std::cout << 2 * x; return 3;",
    )

    def prepare(self) -> None:
        """Find the compiler, and compile the header of all headers unless that is done."""
        super().prepare()
        if not self.toolchain.compilers or self._precompiled():
            return
        version = subprocess.run([self.compiler, "-v"], capture_output=True, text=True, check=True).stderr
        flags = (*GCC_FLAGS, _NEW)
        made = prepared_directory(_PRECOMPILED, f"{version}{flags}", self._precompile)
        if made is not None:
            self.toolchain = replace(self.toolchain, files=(*self.toolchain.files, str(made)))

    def compile_text(self, text: str) -> bytes:
        """Executable; the error is that in the newer dialect."""
        try:
            return super().compile_text(text)
        except CompileError as error:
            with contextlib.suppress(CompileError):
                run_compiler(self._command(_OLD))
                return self.artefact()
            raise error from None

    def compile_command(self) -> Sequence[str]:
        """GCC with the flags that judges of programs commonly use."""
        return self._command(_NEW, *(f"-I{directory}" for directory in self._precompiled()))

    def helpers(self) -> Sequence[str]:
        """Parts of GCC, the assembler and the linker."""
        return gcc_helpers("g++")

    def read_by_tools(self) -> Sequence[str]:
        """Headers."""
        return HEADERS

    def _command(self, *flags: str) -> Sequence[str]:
        return (self.compiler, *GCC_FLAGS, *flags, self.source_name, "-o", self.artefact_name)

    def _precompiled(self) -> Sequence[str]:
        """Directory of the compiled header, if there is one."""
        return [path for path in self.toolchain.files if Path(path).name.startswith(_PRECOMPILED)]

    def _precompile(self, directory: Path, _: Path) -> None:
        target = directory / f"{_ALL_HEADERS}.gch"
        target.parent.mkdir()
        source = directory / "all.hpp"
        source.write_text(f"#include <{_ALL_HEADERS}>\n")
        command = (self.compiler, *GCC_FLAGS, _NEW, "-x", "c++-header", str(source), "-o", str(target))
        subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=True)

"""Go, with the standard library alone."""

import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from testbudget.executors.execution.languages.compiled.compiled_language import CompiledLanguage, Tool
from testbudget.executors.execution.languages.compiled.compiler_run import run_compiler
from testbudget.executors.execution.languages.compiled.failure_patterns import FailurePattern
from testbudget.executors.execution.languages.compiled.prepared_files import prepared_directory
from testbudget.executors.execution.languages.program_runs import ProgramSample
from testbudget.executors.execution.processes.process import ProcessRunner
from testbudget.executors.execution.sandbox.toolchain import Toolchain
from testbudget.rewards.errors import UserError
from testbudget.rewards.problem import Verdict

_LIBRARY = "go-library"
_IMPORTS, _CACHE = "imports", "cache"
_LEFT_OUT = {"net", "os/user"}  # with all that needs them: a program inside has no network and no users
_READ = 'package main\nimport "fmt"\nfunc main() { var x int; fmt.Scan(&x); '


class Go(CompiledLanguage):
    """Go programs of one file.

    The compiler and the linker of the tool chain are called themselves, since the command ``go`` would
    look for modules, and would take longer. The standard library is compiled once per machine.
    """

    tags = ("golang",)
    title = "Go"
    tools = (Tool("go", "golang-go"),)
    source_name = "main.go"
    run_time = Toolchain(native=True, stack_mib=8, threads=16, memory_mib=64)
    failure_patterns = (
        FailurePattern(
            re.compile(r"^fatal error: (?P<message>.*(?:out of|cannot allocate) memory.*)", re.M),
            Verdict.OUT_OF_MEMORY,
        ),
        FailurePattern(re.compile(r"^(?:panic|fatal error): (?P<message>.*)", re.M)),
    )
    program_sample = ProgramSample(
        right=_READ.replace("{", "{{") + "fmt.Println(2 * x + 0 * {}) }}",
        wrong=f"{_READ}fmt.Println(2 + x) }}",
        looping="package main\nfunc main() { for {} }",
        broken="package main\nfunc main() { undefined() }",
        failing=f'{_READ}fmt.Println(2 * x); panic("sample") }}',
    )

    def prepare(self) -> None:
        """Find the compiler, and compile the standard library unless that is done."""
        if self.toolchain.compilers or self.what_is_missing() is not None:
            return
        version, directory = _asked("version"), _asked("env", "GOTOOLDIR")
        library = prepared_directory(_LIBRARY, f"{version}{directory}", _list_library)
        if library is None:
            raise UserError(
                "Go programs need a directory for the compiled standard library but none could be made in "
                "the cache directory of the user; set XDG_CACHE_HOME to another one"
            )
        self.toolchain = replace(
            self.run_time,
            compilers=(f"{directory}/compile", f"{directory}/link"),
            files=(str(library / _IMPORTS), str(library)),
        )

    def compile_text(self, text: str) -> bytes:
        """Executable, made by the compiler and the linker."""
        compiler, linker = self.toolchain.compilers
        imports = self.toolchain.files[0]
        Path(self.source_name).write_text(text, "utf-8", "replace")
        run_compiler(
            (compiler, "-p", "main", "-complete", "-importcfg", imports, "-o", "main.o", self.source_name)
        )
        run_compiler((linker, "-importcfg", imports, "-s", "-w", "-o", self.artefact_name, "main.o"))
        return self.artefact()

    def environment(self, process_runner: ProcessRunner) -> Mapping[str, str]:
        """One thread at a time, a collector that knows the limit of memory, and no traces of routines."""
        return {
            "GOMAXPROCS": "1",
            "GOMEMLIMIT": f"{process_runner.limits.memory_mib}MiB",
            "GOTRACEBACK": "none",
        }


def _asked(*arguments: str, **variables: str) -> str:
    """Answer of the command ``go``, which must not look for modules or other versions of itself."""
    quiet = {"GOFLAGS": "-mod=mod", "GO111MODULE": "off", "GOTOOLCHAIN": "local", "GOPROXY": "off"}
    return subprocess.run(
        ["go", *arguments],
        env=os.environ | quiet | {"CGO_ENABLED": "0"} | variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()


def _list_library(directory: Path, place: Path) -> None:
    """Compile the standard library into a directory, and list the files of its packages there."""
    listed = _asked("list", "-f", '{{.ImportPath}} {{join .Deps " "}}', "std").splitlines()
    names = [name for name, *needed in map(str.split, listed) if _LEFT_OUT.isdisjoint([name, *needed])]
    form = "{{if .Export}}packagefile {{.ImportPath}}={{.Export}}{{end}}"
    imports = _asked("list", "-export", "-f", form, *names, GOCACHE=str(directory / _CACHE))
    lines = [line.replace(str(directory), str(place)) for line in imports.splitlines() if line]
    (directory / _IMPORTS).write_text("\n".join([*lines, ""]))

"""Rust, compiled by rustc with the standard library alone."""

import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from testbudget.executors.execution.languages.compiled.compiled_language import (
    CompiledLanguage,
    Tool,
)
from testbudget.executors.execution.languages.compiled.compiler_run import tool_path
from testbudget.executors.execution.languages.compiled.failure_patterns import FailurePattern
from testbudget.executors.execution.languages.compiled.gcc import gcc_helpers
from testbudget.executors.execution.languages.program_runs import ProgramSample
from testbudget.rewards.problem import Verdict

_READ = (
    "use std::io; fn main() { let mut line = String::new(); io::stdin().read_line(&mut line).unwrap();"
    " let x: i64 = line.trim().parse().unwrap(); "
)


class Rust(CompiledLanguage):
    """Rust programs of the edition of 2021."""

    tags = ("rs",)
    title = "Rust"
    tools = (Tool("rustc", "rustc"), Tool("gcc", "gcc"))
    source_name = "main.rs"
    failure_patterns = (
        FailurePattern(
            re.compile(r"^(?P<message>memory allocation of \d+ bytes failed)", re.M), Verdict.OUT_OF_MEMORY
        ),
        FailurePattern(
            re.compile(r"panicked at [^\n]*:\n(?P<message>assertion [^\n]*failed[^\n]*)"), asserts=True
        ),
        FailurePattern(
            re.compile(r"panicked at '(?P<message>assertion [^\n]*failed[^\n]*)', "), asserts=True
        ),
        FailurePattern(re.compile(r"panicked at '(?P<message>.*)', ")),  # before version 1.73
        FailurePattern(re.compile(r"panicked at [^\n]*:\n(?P<message>.*)")),
        FailurePattern(re.compile(r"^Error: (?P<message>.*)", re.M)),  # of a main that returns a result
        FailurePattern(re.compile(r"^(?P<message>thread '.*' has overflowed its stack)", re.M)),
    )
    program_sample = ProgramSample(
        right=f'{_READ}println!("{{}}", 2 * x + 0 * %); }}'.replace("{", "{{")
        .replace("}", "}}")
        .replace("%", "{}"),
        wrong=f'{_READ}println!("{{}}", 2 + x); }}',
        looping="fn main() { loop {} }",
        broken="fn main() { undefined }",
        failing=f'{_READ}println!("{{}}", 2 * x); std::process::exit(3); }}',
    )

    def compile_command(self) -> Sequence[str]:
        """Compiler with optimization; the linker is that of GCC."""
        _, linker, *_ = self.toolchain.compilers
        return (
            self.compiler,
            *("-O", "--edition", "2021", "-A", "warnings", "--error-format", "short"),
            *("-C", f"linker={linker}", "-C", "strip=symbols", "-C", "codegen-units=1"),
            *("-o", self.artefact_name, self.source_name),
        )

    def tool_paths(self) -> Sequence[str]:
        """The compiler of the sysroot, since rustup puts a program of its own on the ``PATH``."""
        linker = tool_path("gcc")
        assert linker is not None
        return (str(_sysroot() / "bin" / "rustc"), linker)

    def helpers(self) -> Sequence[str]:
        """Parts of GCC, the linker, and linkers that come with the compiler."""
        return (*gcc_helpers("gcc"), *map(str, _sysroot().glob("lib/rustlib/*/bin")))

    def read_by_tools(self) -> Sequence[str]:
        """Standard library, and the libraries that the compiler is linked with."""
        return (str(_sysroot() / "lib"),)


def _sysroot() -> Path:
    asked = subprocess.run(["rustc", "--print", "sysroot"], capture_output=True, text=True, check=True)
    return Path(asked.stdout.strip())

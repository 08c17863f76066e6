"""C, compiled by GCC."""

from collections.abc import Sequence

from testbudget.executors.execution.languages.compiled.compiled_language import CompiledLanguage, Tool
from testbudget.executors.execution.languages.compiled.failure_patterns import LIBC_ASSERTION
from testbudget.executors.execution.languages.compiled.gcc import GCC_FLAGS, HEADERS, gcc_helpers
from testbudget.executors.execution.languages.program_runs import ProgramSample

_MAIN = '#include <stdio.h>\nint main(void) { int x; scanf("%%d", &x); %s }'


class C(CompiledLanguage):
    """C programs."""

    title = "C"
    tools = (Tool("gcc", "gcc"),)
    source_name = "main.c"
    failure_patterns = (LIBC_ASSERTION,)
    program_sample = ProgramSample(
        right=_MAIN.replace("{", "{{").replace("}", "}}") % r'printf("%d\n", 2 * x + 0 * {});',
        wrong=_MAIN % r'printf("%d\n", 2 + x);',
        looping=_MAIN % "for (;;);",
        broken=_MAIN % "undefined;",
        failing=_MAIN % r'printf("%d\n", 2 * x); return 3;',
    )

    def compile_command(self) -> Sequence[str]:
        """GCC with the flags that judges of programs commonly use."""
        return (self.compiler, *GCC_FLAGS, "-std=gnu17", self.source_name, "-o", self.artefact_name, "-lm")

    def helpers(self) -> Sequence[str]:
        """Parts of GCC, the assembler and the linker."""
        return gcc_helpers("gcc")

    def read_by_tools(self) -> Sequence[str]:
        """Headers."""
        return HEADERS

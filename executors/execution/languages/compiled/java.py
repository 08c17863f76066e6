"""Java, compiled and run by a JDK."""

import io
import re
import zipfile
from collections.abc import Sequence
from pathlib import Path

from testbudget.executors.execution.languages.compiled.compiled_language import (
    CompiledLanguage,
    Tool,
)
from testbudget.executors.execution.languages.compiled.compiler_run import (
    run_compiler,
    tool_path,
)
from testbudget.executors.execution.languages.compiled.failure_patterns import FailurePattern
from testbudget.executors.execution.languages.compiled.java_names import class_to_run, source_name
from testbudget.executors.execution.languages.program_runs import ProgramSample
from testbudget.executors.execution.processes.process import ProcessRunner
from testbudget.executors.execution.sandbox.toolchain import Toolchain
from testbudget.rewards.problem import Verdict

_CLASSES = "classes"
_ASSERTS = "// assertions are enabled"  # in the text of a program that a test is joined to
_ALWAYS = (
    "-Xshare:auto",  # classes of the library from the archive that comes with the JDK
    "-XX:+UseSerialGC",
    "-XX:-UsePerfData",  # no file in the temporary directory
    "-XX:-UseContainerSupport",  # no look at the control groups, which are not visible
    "-XX:ActiveProcessorCount=1",
    "-Dfile.encoding=UTF-8",
)
_RAISED = r'Exception in thread "[^"\n]*" (?P<exception>{})(?:: (?P<message>.*))?'
_SAMPLE = "public class Sample {{ public static void main(String[] arguments) {{ {} }} }}"
_READ = "int x = new java.util.Scanner(System.in).nextInt();"


class Java(CompiledLanguage):
    """Java programs of one file, with any number of classes by any name.

    The memory of a program is bounded by the size of its heap (``-Xmx``), since the virtual machine
    reserves much more address space than it uses. It gets threads and memory of its own beside.
    """

    tags = ("jdk",)
    title = "Java"
    tools = (Tool("javac", "default-jdk-headless"), Tool("java", "default-jre-headless"))
    artefact_name = "program.jar"
    run_time = Toolchain(threads=24, memory_mib=1024)
    failure_patterns = (
        FailurePattern(re.compile(_RAISED.format(r"java\.lang\.OutOfMemoryError")), Verdict.OUT_OF_MEMORY),
        FailurePattern(re.compile(_RAISED.format(r"java\.lang\.AssertionError")), asserts=True),
        FailurePattern(re.compile(_RAISED.format(r"[\w.$]+"))),
        FailurePattern(re.compile(r"^Error: (?P<message>.*)", re.MULTILINE)),  # of the virtual machine
    )
    program_sample = ProgramSample(
        right=_SAMPLE.replace(" {} ", f" {_READ} System.out.println(2 * x + 0 * {{}}); "),
        wrong=_SAMPLE.format(f"{_READ} System.out.println(2 + x);"),
        looping=_SAMPLE.format("while (true);"),
        broken=_SAMPLE.format("undefined();"),
        failing=_SAMPLE.format(f"{_READ} System.out.println(2 * x); System.exit(3);"),
    )

    def read_by_tools(self) -> Sequence[str]:
        """The JDK, and its settings, which Debian keeps elsewhere."""
        compiler = tool_path("javac")
        assert compiler is not None
        home = Path(compiler).parents[1]
        links = (home / place for place in ("conf", "lib/jvm.cfg", "lib/security/java.security"))
        return (str(home), *(str(link.resolve().parent) for link in links if link.is_symlink()))

    def compile_text(self, text: str) -> bytes:
        """Archive of all classes, which names the one that is run."""
        source = Path(source_name(text))
        source.write_text(text, "utf-8", "replace")
        flags = (*_ALWAYS, "-Xmx512m", "-XX:TieredStopAtLevel=1")
        run_compiler(
            (
                self.compiler,
                *(f"-J{flag}" for flag in flags),
                *("-encoding", "UTF-8", "-nowarn", "-Xlint:none", "-Xmaxerrs", "1"),
                *("-proc:none", "-implicit:none", "-sourcepath", _CLASSES, "-cp", _CLASSES),
                *("-d", _CLASSES, str(source)),
            )
        )
        files = {path: path.read_bytes() for path in sorted(Path(_CLASSES).rglob("*.class"))}
        names = {path: ".".join(path.relative_to(_CLASSES).with_suffix("").parts) for path in files}
        main = class_to_run(text, {names[path]: content for path, content in files.items()})
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as jar:
            jar.writestr("META-INF/MANIFEST.MF", f"Manifest-Version: 1.0\nMain-Class: {main}\n")
            if text.endswith(_ASSERTS):
                jar.writestr("META-INF/assertions", "")
            for path, content in files.items():
                jar.writestr(str(path.relative_to(_CLASSES)), content)
        return archive.getvalue()

    def joined(self, candidate: str, test: str) -> str:
        """Program that is run with assertions enabled."""
        return f"{super().joined(candidate, test)}\n{_ASSERTS}"

    def run_command(self, process_runner: ProcessRunner) -> Sequence[str]:
        """Virtual machine, with a heap of the size of the limit."""
        heap = f"-Xmx{process_runner.limits.memory_mib}m"
        flags = (*_ALWAYS, heap, "-Xss64m", "-XX:MaxJavaStackTraceDepth=16")
        with zipfile.ZipFile(self.artefact_name) as archive:
            asserts = "META-INF/assertions" in archive.namelist()
        _, machine, *_ = self.programs
        return (machine, *flags, *(["-ea"] if asserts else ()), "-jar", self.artefact_name)

import pytest

from testbudget.executors.execution.languages.compiled.compiler_output import not_compiled_reason
from testbudget.rewards.verdict_reason import DetailName

OUTPUTS = {
    "gcc": (
        "main.c: In function 'main':\nmain.c:2:5: error: 'x' undeclared\n",
        "error: 'x' undeclared",
        "2",
    ),
    "assembler": ("main.c: Assembler messages:\nmain.c:5: Error: file not found: /etc/a", None, "5"),
    "linker": ("/usr/bin/ld: /tmp/x.o: in function f\ncollect2: error: ld returned 1", None, None),
    "javac": ("A.java:3: error: ';' expected\n  x\n  ^\n1 error\n", "error: ';' expected", "3"),
    "go": ('main.go:2:8: imported and not used: "os"\n', 'imported and not used: "os"', "2"),
    "rustc": ("main.rs:1:9: error[E0425]: no x: y\nerror: aborting\n", "error[E0425]: no x: y", "1"),
    "esbuild": ('✘ [ERROR] Unexpected ";"\n\n    main.ts:7:3:\n', 'Unexpected ";"', "7"),
    "something else": ("\n  it broke  \nreally\n", "it broke", None),
}


@pytest.mark.parametrize("name", OUTPUTS)
def test_the_first_error_and_its_line_are_told(name):
    output, message, line = OUTPUTS[name]
    detail = not_compiled_reason(output).detail
    assert message is None or detail[DetailName.MESSAGE] == message
    assert detail.get(DetailName.LINE) == line


def test_directories_of_the_sandbox_are_left_out():
    reason = not_compiled_reason("/tmp/work/main.cpp:1:1: fatal error: /etc/passwd: No such file\n")
    assert reason.detail[DetailName.MESSAGE] == "fatal error: passwd: No such file"


def test_a_compiler_that_prints_nothing_gives_the_sentence_alone():
    assert not_compiled_reason("\n").detail == {}

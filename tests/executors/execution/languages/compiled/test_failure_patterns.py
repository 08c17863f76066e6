import pytest

from testbudget.executors.execution.languages.program_runs import ProgramEnd
from testbudget.executors.execution.languages.registry import BUILT_IN
from testbudget.rewards.problem import Verdict
from testbudget.rewards.verdict_reason import DetailName

ERRORED, OUT_OF_MEMORY, KILLED = Verdict.ERRORED, Verdict.OUT_OF_MEMORY, Verdict.KILLED
ENDS = {
    "c++ exception": (
        ("cpp", 0, 6),
        "terminate called after throwing an instance of 'std::out_of_range'\n  what():  at 7\n",
        (ERRORED, "std::out_of_range", "at 7"),
    ),
    "c++ memory": (
        ("cpp", 0, 6),
        "terminate called after throwing an instance of 'std::bad_alloc'\n  what():  std::bad_alloc\n",
        (OUT_OF_MEMORY, "std::bad_alloc", None),
    ),
    "c signal": (("c", 0, 11), "", (KILLED, None, None)),
    "java exception": (
        ("java", 1, 0),
        'Exception in thread "main" java.lang.ArithmeticException: / by zero\n\tat A.main(A.java:1)\n',
        (ERRORED, "java.lang.ArithmeticException", "/ by zero"),
    ),
    "java memory": (
        ("java", 1, 0),
        'Exception in thread "main" java.lang.OutOfMemoryError: Java heap space\n',
        (OUT_OF_MEMORY, "java.lang.OutOfMemoryError", "Java heap space"),
    ),
    "go panic": (
        ("go", 2, 0),
        "panic: runtime error: index out of range [5] with length 1\n",
        (ERRORED, None, "runtime error: index out of range [5] with length 1"),
    ),
    "go memory": (
        ("go", 2, 0),
        "fatal error: runtime: out of memory\n\nruntime stack:\n",
        (OUT_OF_MEMORY, None, "runtime: out of memory"),
    ),
    "go memory refused": (
        ("go", 2, 0),
        "fatal error: runtime: cannot allocate memory\n",
        (OUT_OF_MEMORY, None, "runtime: cannot allocate memory"),
    ),
    "rust panic": (
        ("rust", 101, 0),
        "thread 'main' (7) panicked at main.rs:2:5:\nindex out of bounds\nnote: run with\n",
        (ERRORED, None, "index out of bounds"),
    ),
    "rust before 1.73": (
        ("rust", 101, 0),
        "thread 'main' panicked at 'no value', main.rs:2:5\nnote: run with\n",
        (ERRORED, None, "no value"),
    ),
    "rust memory": (
        ("rust", 0, 6),
        "memory allocation of 16 bytes failed\n",
        (OUT_OF_MEMORY, None, "memory allocation of 16 bytes failed"),
    ),
}


@pytest.mark.parametrize("name", ENDS)
def test_what_a_run_time_prints_becomes_the_reason(name):
    (language, status, signal), errors, (verdict, exception, message) = ENDS[name]
    found, reason = BUILT_IN[language].failure_reason(ProgramEnd(status, signal, errors))
    assert found == verdict
    assert reason.detail.get(DetailName.EXCEPTION) == exception
    assert reason.detail.get(DetailName.MESSAGE) == message
    assert reason.sentence.endswith(".")


ASSERTIONS = {
    "c": "program: main.c:3: main: Assertion `f(2) == 4' failed.\n",
    "cpp": "program: main.cpp:3: int main(): Assertion `f(2) == 4' failed.\n",
    "java": 'Exception in thread "main" java.lang.AssertionError\n',
    "rust": "thread 'main' panicked at main.rs:3:5:\nassertion `left == right` failed\n  left: 1\n",
}


@pytest.mark.parametrize("language", ASSERTIONS)
def test_an_assertion_that_does_not_hold_is_told_from_other_failures(language):
    assert BUILT_IN[language].asserts(ProgramEnd(1, 0, ASSERTIONS[language]))
    assert not BUILT_IN[language].asserts(ProgramEnd(1, 0, "something else"))

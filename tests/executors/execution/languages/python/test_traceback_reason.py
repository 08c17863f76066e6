import pytest

from testbudget.executors.execution.languages.program_runs import ProgramEnd
from testbudget.executors.execution.languages.python.traceback_reason import traceback_reason
from testbudget.rewards.problem import Verdict

TRACEBACK = 'Traceback (most recent call last):\n  File "program.py", line 7, in <module>\n    f()\n'
INNER = '  File "program.py", line 3, in f\n    1 / 0\n    ~~^~~\n'


@pytest.mark.parametrize(
    ("errors", "sentence", "detail"),
    [
        (
            f"debug\n{TRACEBACK}{INNER}ZeroDivisionError: division by zero\n",
            "The program raised ZeroDivisionError on line 3.",
            {"exception": "ZeroDivisionError", "line": "3", "message": "division by zero"},
        ),
        (
            f"{TRACEBACK}{INNER}mine.Error: one\ntwo: three\n",
            "The program raised mine.Error on line 3.",
            {"exception": "mine.Error", "line": "3", "message": "one"},
        ),
        (
            f"{TRACEBACK}KeyError\n\nDuring handling of it another exception occurred:\n\n"
            f"{TRACEBACK}ValueError: x\n",
            "The program raised ValueError on line 7.",
            {"exception": "ValueError", "line": "7", "message": "x"},
        ),
        (
            f"{TRACEBACK}ModuleNotFoundError: No module named 'pandas.core'\n",
            "The module pandas is not installed in the sandbox.",
            {
                "exception": "ModuleNotFoundError",
                "line": "7",
                "message": "No module named 'pandas.core'",
                "module": "pandas.core",
            },
        ),
        ("no good\n", "The program ended with exit status 1.", {"message": "no good"}),
        ("", "The program ended with exit status 1.", {}),
        ("Traceback (most recent call last):\n", "The program ended with exit status 1.", None),
    ],
)
def test_the_end_of_the_standard_error_tells_the_reason(errors, sentence, detail):
    verdict, reason = traceback_reason(ProgramEnd(1, 0, errors))
    assert (verdict, reason.sentence) == (Verdict.ERRORED, sentence)
    if detail is not None:
        assert {str(name): text for name, text in reason.detail.items()} == detail


def test_memory_and_signals_have_verdicts_of_their_own():
    verdict, _ = traceback_reason(ProgramEnd(1, 0, f"{TRACEBACK}MemoryError\n"))
    assert verdict is Verdict.OUT_OF_MEMORY
    verdict, reason = traceback_reason(ProgramEnd(0, 11, f"{TRACEBACK}MemoryError\n"))
    assert (verdict, reason.sentence) == (Verdict.KILLED, "The program was ended by signal SIGSEGV.")

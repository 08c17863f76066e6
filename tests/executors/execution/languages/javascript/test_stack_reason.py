import pytest

from testbudget.executors.execution.languages.javascript.stack_reason import stack_reason
from testbudget.executors.execution.languages.program_runs import ProgramEnd
from testbudget.rewards.problem import Verdict

SOURCE = "/tmp/work/main.js:3\nthrow new TypeError('bad');\n^\n\n"
STACK = "    at Object.<anonymous> (/tmp/work/main.js:3:7)\n\nNode.js v20.20.2\n"


@pytest.mark.parametrize(
    ("errors", "sentence", "detail"),
    [
        (
            f"debug\n{SOURCE}TypeError: bad\n{STACK}",
            "The program raised TypeError on line 3.",
            {"exception": "TypeError", "message": "bad", "line": "3"},
        ),
        (
            f"loader:1\nError: Cannot find module 'lodash'\nRequire stack:\n{STACK}",
            "The module lodash is not installed in the sandbox.",
            {
                "exception": "Error",
                "message": "Cannot find module 'lodash'",
                "line": "3",
                "module": "lodash",
            },
        ),
        ("no good\n", "The program ended with exit status 1.", {"message": "no good"}),
    ],
)
def test_the_end_of_the_standard_error_tells_the_reason(errors, sentence, detail):
    verdict, reason = stack_reason(ProgramEnd(1, 0, errors))
    assert (verdict, reason.sentence) == (Verdict.ERRORED, sentence)
    assert {str(name): text for name, text in reason.detail.items()} == detail


def test_a_heap_that_is_full_is_out_of_memory():
    errors = "FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory\n"
    verdict, _ = stack_reason(ProgramEnd(0, 6, errors))
    assert verdict is Verdict.OUT_OF_MEMORY

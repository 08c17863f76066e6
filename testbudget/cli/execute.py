"""``testbudget execute``: execute a file of candidate and test pairs, without a job."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

from testbudget.cli.options import Json, comma_separated, whole_number
from testbudget.executors.execution.limits import LayerName, TestLimits, Trust
from testbudget.rewards.errors import SandboxError, UserError

_LIMITS = TestLimits()
_TrustName = Literal["hostile", "honest"]

app = App(
    name="execute",
    help_epilogue="""A line of --in:

  {"id": "1", "candidate": "def f(x): ...", "test": "assert f(1) == 2",
   "kind": "assert"}
  {"id": "2", "candidate": "print(int(input()) + 1)", "kind": "stdin",
   "stdin": "1\\n", "expected_stdout": "2\\n"}

id: text or a whole number, unique (default: the number of the line)
kind: assert (a program that runs after the candidate), unittest (a module
  with TestCase classes), pytest (a module with test functions or classes),
  check (defines check(candidate), called with the entry point), stdin (the
  candidate is a program that reads standard input and prints)
language: python (default) or another that doctor lists
entry_point: name that the candidate must define (default: none)
comparison: of what a program prints: text (lines, exact, tokens or
  unordered_lines), absolute and relative (tolerances of numbers), checker
  (a program that defines checker(input, expected, actual))
Further fields go into metadata of the output.

A line of --out:

  {"id": "1", "verdict": "failed",
   "reason": "The assertion on line 1 does not hold.",
   "detail": {"exception": "AssertionError", "line": "1",
    "given": "3", "expected": "2"},
   "cpu_seconds": 0.0012, "wall_seconds": 0.0013,
   "isolation": ["separate_process", "user", "pid", "mount", ...]}

detail: what is known of exception, message, line, expected, given, limit,
  module
isolation: separate_process, or same_process where the verdict was found in
  one process with the candidate (only with --trust honest), then the
  isolation layers in force
error: in place of a verdict, what is wrong with a row of standard input, or
  that the pair ends each sandbox in which it is run

Examples:

  testbudget execute --in pairs.jsonl --out verdicts.jsonl
  testbudget execute --in pairs.jsonl --out verdicts.parquet --resume
  testbudget execute --in pairs.jsonl --out v.jsonl --packages pandas,scipy
  testbudget execute --in - --out - --require net,mount < pairs.jsonl

Keys of --json: docs/command_line.md""",
)


@app.default
def execute(
    *,
    source: Annotated[Path, Parameter(name="--in", allow_leading_hyphen=True)],
    out: Annotated[Path, Parameter(allow_leading_hyphen=True)],
    cpu_seconds: float = _LIMITS.cpu_seconds,
    wall_seconds: float = _LIMITS.wall_seconds,
    memory_mib: Annotated[
        int, whole_number("Memory of the process beyond the interpreter and its modules, in MiB.")
    ] = _LIMITS.memory_mib,
    max_timeouts: Annotated[
        int | None,
        whole_number(
            "Number of timeouts in a block after which a candidate's other tests are not run "
            "(default: none, so that all are run).",
            least=1,
        ),
    ] = None,
    runners: Annotated[
        int | None, whole_number("Number of sandboxes (default: one per CPU core).", least=1)
    ] = None,
    require: Annotated[
        list[LayerName] | None,
        comma_separated("Isolation layers without which nothing is executed."),
    ] = None,
    trust: Annotated[
        _TrustName,
        Parameter(
            help="Trust in the authors of the candidates. hostile: a pass that the candidate could have "
            "forged is unconfirmed. honest: such a pair is judged once more, in one process with the "
            "candidate, and that counts."
        ),
    ] = "hostile",
    packages: Annotated[
        list[str] | None,
        comma_separated(
            "Installed distributions that Python programs may import, with what they require "
            "(default: none but NumPy)."
        ),
    ] = None,
    python: Annotated[
        Path | None,
        Parameter(
            help="Interpreter of the environment that they are installed in (default: that of testbudget)."
        ),
    ] = None,
    resume: Annotated[
        bool,
        Parameter(
            negative=(),
            show_default=False,
            help="Continue the file of verdicts: what it holds is not judged again.",
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Execute candidate programs on unit tests, one pair per row of a file.

    A file (JSON Lines, JSON, CSV, Parquet, Arrow) is read and checked as a
    whole before anything is executed. Each verdict is written as it falls, in
    the order of the pairs. After an end by Ctrl-C, --resume goes on. Without
    pairs there are no verdicts, and the exit code is 0. The counterpart in
    Python is testbudget.judge.

    Args:
        source: file of pairs, or - for JSON Lines on standard input.
        out: file of verdicts, Parquet if it ends in .parquet, or - for standard output.
        cpu_seconds: CPU time limit of a test, loading the candidate included.
        wall_seconds: Wall clock limit of a test.
    """
    from testbudget.cli.console import STANDARD_STREAM, number_of, print_json
    from testbudget.cli.pair_file import execute_file
    from testbudget.executors.execution.package_choice import PackageChoice

    if json and out == STANDARD_STREAM:
        raise UserError("--json needs --out FILE: standard output cannot hold both")
    counts = execute_file(
        source,
        out,
        runners=runners,
        require=require or [],
        max_timeouts=max_timeouts,
        trust=Trust(trust),
        packages=PackageChoice(tuple(packages or ()), None if python is None else str(python)),
        resume=resume,
        cpu_seconds=cpu_seconds,
        wall_seconds=wall_seconds,
        memory_mib=memory_mib,
    )
    if json:
        print_json(counts)
    if wrong := counts["errors"]:
        rows = number_of(counts["pairs"], "row")
        verb = "is" if wrong == 1 else "are"
        raise UserError(f"{wrong} of {rows} {verb} wrong; the field error of each says why")
    if lost := counts["lost"]:
        pairs = number_of(counts["pairs"], "pair")
        verb = "has" if lost == 1 else "have"
        raise SandboxError(f"{lost} of {pairs} {verb} no verdict; the field error of each says why")

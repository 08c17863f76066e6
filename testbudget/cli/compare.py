"""``testbudget compare``: policies, predictors and selection rules on a finished run, at several caps."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from testbudget.analysis.compare.settings import CompareSettings
from testbudget.cli.options import Json, flags_of

if TYPE_CHECKING:
    CompareFlags = dict[str, Any]
else:
    CompareFlags = flags_of(CompareSettings, "Settings", renamed={"selections": "selection"})

app = App(
    name="compare",
    help_epilogue="""Predictors, as far as the run allows:
  none                 the same pass rate for all problems
  learned              pass rates fitted on other problems
  oracle               measured pass rates
  noisy:R              measured, with noise down to rank correlation R
  noisy-calibrated:R   the same, calibrated

Lists are separated by commas. Examples:

  testbudget compare runs/job
  testbudget compare runs/job --policies greedy --predictors learned,noisy:0.8

Keys of --json: docs/command_line.md""",
)


@app.default
def compare(
    run: Path,
    /,
    *,
    predictor: Path | None = None,
    out: Path | None = None,
    json: Json = False,
    flags: Annotated[CompareFlags | None, Parameter(name="*")] = None,
) -> None:
    """Compare allocation policies on the recorded tests of a finished run, at several caps.

    Every combination of rule, policy and predictor is evaluated in many
    random permutations of the tests. It is set against equal budgets with the
    same rule, and against the static reference: equal budgets with majority
    or consensus, whichever is better.

    Args:
        run: Directory of a finished run or its URL, or a file of votes (docs/importing_votes.md). Without
            labels, picks are scored by their agreement with those of all tests.
        predictor: Trained model for the predictor learned (default: fitted on the run's other problems).
        out: Directory to write (default: runs/compare/NAME-OF-RUN).
    """
    from testbudget import api
    from testbudget.analysis.compare.report import (
        comparison_records,
        print_comparison,
        write_comparison,
        write_grid,
    )
    from testbudget.analysis.tables import WIDTH
    from testbudget.cli.console import print_json, status_console
    from testbudget.traces.files import check_place

    out = out or Path("runs") / "compare" / run.resolve().stem
    check_place(out, directory=True)
    comparison = api.compare(run, CompareSettings(**(flags or {})), predictor=predictor)
    out.mkdir(parents=True, exist_ok=True)
    grid, page = out / "grid.parquet", out / "compare.html"
    write_grid(comparison, grid)
    write_comparison(comparison, page)
    if json:
        print_json(comparison_records(comparison) | {"report": str(page), "table": str(grid)})
        return
    console = status_console(json, width=WIDTH)
    print_comparison(comparison, console)
    console.print(f"\ntable and page: {out}", highlight=False, soft_wrap=True)

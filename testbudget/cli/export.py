"""``testbudget export``: write the picked programs of a finished run."""

from pathlib import Path

from cyclopts import App

from testbudget.cli.options import Json
from testbudget.rewards.errors import UserError

app = App(
    name="export",
    help_epilogue="""Examples:

  testbudget export runs/job                           into runs/job-picks/
  testbudget export runs/job --out picks.jsonl         a row for each program
  testbudget export runs/job --least-p-correct 0.9     the surest ones""",
)


@app.default
def export(
    run: Path,
    /,
    *,
    out: Path | None = None,
    least_p_correct: float = 0.0,
    with_abstained: bool = False,
    json: Json = False,
) -> None:
    """Write the picked programs of a finished run, a file for each or a row for each.

    A folder gets a file for each problem, named by its id, and picks.jsonl
    with the file, p_correct and tests of each.

    Args:
        run: Run directory.
        out: Folder, or file of rows that ends in .jsonl; must not exist
            (default: RUN-picks).
        least_p_correct: Programs whose probability of being correct is below
            this are left out, in [0, 1].
        with_abstained: Write the programs of abstained picks too.
    """
    from testbudget.cli.console import print_json
    from testbudget.exports import export_picks

    if not 0 <= least_p_correct <= 1:
        raise UserError(f"--least-p-correct must be in [0, 1] but got {least_p_correct:g}")
    place = out or run.resolve().with_name(f"{run.resolve().name}-picks")
    count = export_picks(run, place, least_p_correct=least_p_correct, with_abstained=with_abstained)
    if json:
        print_json({"out": str(place), "programs": count})
    else:
        print(f"{count} programs in {place}")

"""``testbudget import``: runs from elsewhere."""

from pathlib import Path

from cyclopts import App

import_app = App(
    name="import",
    help="Import data from elsewhere as a finished run.",
    help_epilogue="Example:\n\n  testbudget import votes votes.npz --out runs/imported",
)


@import_app.command(
    name="votes",
    help_epilogue="""Examples:

  testbudget import votes votes.npz --out runs/imported
  testbudget compare runs/imported""",
)
def import_votes(file: Path, /, *, out: Path) -> None:
    """Import verdicts (candidates x tests of each problem) as a finished run.

    The arrays are described in docs/importing_votes.md. The run can be compared,
    tuned on, reported and run again with backend recorded (testbudget run
    RUN/job.yaml). It holds no programs, so they cannot be executed again.

    Args:
        file: An .npz file of votes and labels.
        out: Run directory; must not exist.
    """
    from testbudget import api

    imported = api.import_votes(file, out=out)
    print(f"{len(imported.trace.problems)} problems: {out}")

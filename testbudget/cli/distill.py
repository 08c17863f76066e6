"""``testbudget distill``: training data for a test writer from finished runs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from testbudget.analysis.distill.settings import DistillSettings
from testbudget.cli.options import Json, Runs, flags_of, run_sources

if TYPE_CHECKING:
    DistillFlags = dict[str, Any]
else:
    DistillFlags = flags_of(DistillSettings, "Filters, sizes and split")

app = App(
    name="distill",
    help_epilogue="""Examples:

  testbudget distill runs/job --out data/job
  testbudget distill runs/a runs/b --out data/both --held-out runs/judge
  testbudget distill runs/job --out data/all --no-pass-right --no-reject-wrong

Keys of --json: docs/command_line.md""",
)


@app.default
def distill(
    runs: Runs,
    /,
    *,
    out: Path,
    held_out: Annotated[list[Path] | None, Parameter(consume_multiple=True, negative=())] = None,
    problems: Annotated[list[str] | None, Parameter(negative=(), metavar="RUN=SOURCE")] = None,
    json: Json = False,
    flags: Annotated[DistillFlags | None, Parameter(name="*")] = None,
) -> None:
    """Make training data for a test writer from finished runs.

    Writes tests to fine-tune on, pairs of a better and a worse test, and
    pairs of a right and a wrong candidate, each as JSONL and Parquet in the
    chat form, split by problem, with a data card.

    Args:
        runs: Directories of finished runs.
        out: Directory to write; must not exist.
        held_out: Runs that will judge: their problems, and near-duplicates of them, are left out.
        problems: Source of a run's problems (humaneval, mbpp:FILE or JSONL), for a run without their
            texts; may be repeated (default: as in the run).
    """
    from testbudget import writers
    from testbudget.analysis.distill.files import filters_table, split_sentences
    from testbudget.analysis.tables import WIDTH
    from testbudget.cli.console import print_json, status_console

    settings = DistillSettings(**(flags or {}))
    withheld = held_out or []
    sources = run_sources(problems or [], [*runs, *withheld])
    saved = writers.distill(runs, settings, out=out, held_out=withheld, sources=sources)
    if json:
        print_json({**saved.record, "data": str(out), "files": list(saved.files)})
        return
    console = status_console(json, width=WIDTH)
    filters_table(saved.data.steps).print(console)
    for kind, sides in saved.record["rows"].items():
        console.print(f"{kind}: {sides['train']} rows to train on, {sides['eval']} to evaluate on")
    for sentence in [*split_sentences(saved.record), f"data: {out}"]:
        console.print(sentence, highlight=False, soft_wrap=True)

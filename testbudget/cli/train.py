"""``testbudget train`` and ``predict``: predictors of difficulty, and their predictions."""

from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, Parameter

from testbudget.cli.options import Json, Runs, comma_separated, named, run_sources, whole_number
from testbudget.difficulty.names import STORABLE_METHODS
from testbudget.rewards.errors import UserError
from testbudget.scheduler.job_names import RULE, SelectionField

if TYPE_CHECKING:
    MethodName = str
else:
    MethodName = Literal[STORABLE_METHODS]

app = App(
    name="train",
    help_epilogue="""Examples:

  testbudget train runs/humaneval --out runs/model
  testbudget train runs/humaneval --eval-runs runs/mbpp --out runs/model

Keys of --json: docs/command_line.md""",
)
predict_app = App(
    name="predict",
    help_epilogue="""Examples:

  testbudget predict humaneval --model runs/model \\
      --hidden-states runs/humaneval --out predictions.jsonl
  testbudget predict problems.jsonl --model runs/model \\
      --base-model models/0.5b --out predictions.jsonl""",
)


@app.default
def train(
    runs: Runs,
    /,
    *,
    out: Path,
    eval_runs: Annotated[list[Path] | None, Parameter(consume_multiple=True, negative=())] = None,
    method: MethodName = STORABLE_METHODS[0],
    layers: Annotated[
        list[int] | None,
        comma_separated(
            "Hidden layers to train on, separated by commas (default: the one at 3/4 of the depth)."
        ),
    ] = None,
    candidates: Annotated[
        int | None,
        whole_number(
            "Number of candidates of each problem to use, from the first (default: all).", least=1
        ),
    ] = None,
    selection: Annotated[SelectionField, named(RULE)] = "majority",
    problems: Annotated[list[str] | None, Parameter(negative=(), metavar="RUN=SOURCE")] = None,
    seed: Annotated[int, whole_number("Seed of folds, weights and draws.", least=0)] = 0,
    json: Json = False,
) -> None:
    """Train a predictor of difficulty on finished runs with labels and hidden states.

    Targets, known before a problem's first test: pass rate, solvability,
    error rates of the tests, and the gain in accuracy by more tests. All
    scores are of problems that a model was not trained on, beside those of
    baselines.

    Args:
        runs: Runs to train on.
        out: Directory of the model; must not exist.
        eval_runs: Runs to evaluate on, not to train on.
        method: Method of the stored model.
        selection: Selection rule of the gains.
        problems: Source of a run's problems (humaneval, mbpp:FILE or JSONL), for the baseline that reads
            their texts; may be repeated (default: as in the run's job).
    """
    from testbudget import predictors
    from testbudget.analysis.tables import WIDTH
    from testbudget.analysis.training_report import print_training, training_records
    from testbudget.cli.console import print_json, status_console
    from testbudget.difficulty.training import TrainingSettings

    held_out = eval_runs or []
    settings = TrainingSettings(
        method=method,
        layers=tuple(layers) if layers else None,
        candidates=candidates,
        selection=selection,
        sources=run_sources(problems or [], [*runs, *held_out]),
        seed=seed,
    )
    saved = predictors.train(runs, settings, out=out, eval_runs=held_out)
    if json:
        files = {"model": str(out), "report": str(saved.report)}
        print_json(training_records(saved.result, saved.sections) | files)
        return
    console = status_console(json, width=WIDTH)
    print_training(saved.sections, console)
    for name, path in (("model", out), ("report", saved.report)):
        console.print(f"{name}: {path}", highlight=False, soft_wrap=True)


@predict_app.default
def predict(
    source: str,
    /,
    *,
    model: Path,
    out: Annotated[Path, Parameter(allow_leading_hyphen=True)],
    hidden_states: Path | None = None,
    base_model: str | None = None,
) -> None:
    """Predict the difficulty of problems by a trained model, one line of JSON per problem.

    A line holds the mean and standard deviation of each target. A problem
    that the model was trained on is predicted by members that were fitted
    without it, and marked by trained_on.

    Args:
        source: humaneval, mbpp:FILE, or a JSONL file of problems.
        model: Directory of the trained model.
        out: JSONL file to write, or - for standard output.
        hidden_states: Finished run whose hidden states are taken.
        base_model: Model to extract hidden states by: hub name or local folder (default: as in the card).
    """
    if hidden_states and base_model:
        raise UserError("predict takes --hidden-states or --base-model but got both")

    from testbudget import predictors
    from testbudget.cli.console import STANDARD_STREAM, check_writable, write_lines

    check_writable(out)
    lines = predictors.predict(source, model, hidden_states=hidden_states, base_model=base_model)
    write_lines([dumps(line, ensure_ascii=False) + "\n" for line in lines], out)
    if out != STANDARD_STREAM:
        print(f"{len(lines)} problems: {out}")

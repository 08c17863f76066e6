"""``testbudget finetune``: a LoRA adapter of a test writer, trained on distilled data."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cyclopts import App

from testbudget.cli.options import Json

app = App(
    name="finetune",
    help_epilogue="""Examples:

  testbudget finetune finetune.yaml --out runs/writer
  testbudget finetune --resume runs/writer

The fields of the file, and the keys of --json: docs/distilling.md""",
)


@app.default
def finetune(
    settings: Path | None = None,
    /,
    *,
    out: Path | None = None,
    resume: Path | None = None,
    json: Json = False,
) -> None:
    """Train a test writer on distilled data, with LoRA.

    The adapter lies in OUT/adapter. A job takes it as lora in the section of
    its model. Checkpoints and the log lie in OUT too.

    Args:
        settings: YAML file that names the base model and the data.
        out: Directory to write (default: runs/NAME-OF-FILE).
        resume: Directory of a training that was stopped: it goes on from its latest checkpoint.
    """
    from testbudget import writers
    from testbudget.cli.console import print_json, status_console
    from testbudget.rewards.errors import UserError

    if (settings is None) == (resume is None):
        raise UserError("finetune needs a file of settings or --resume RUN, and not both")
    if resume is not None and out is not None:
        raise UserError("finetune --resume writes where the training was, so it takes no --out")
    with _log_on_standard_error():
        if resume is not None:
            done = writers.resume_finetuning(resume)
        else:
            assert settings is not None
            done = writers.finetune(settings, out=out or Path("runs") / settings.stem)
    if json:
        print_json({**done.record, "training": str(done.directory), "adapter": str(done.adapter)})
        return
    console = status_console(json)
    for line in done.sentences():
        console.print(line, highlight=False, soft_wrap=True)


@contextmanager
def _log_on_standard_error() -> Iterator[None]:
    """Show the entries of the training's log while it goes on."""
    from testbudget.analysis.finetune.training import TRAINING_LOGGER

    logger, handler = logging.getLogger(TRAINING_LOGGER), logging.StreamHandler(sys.stderr)
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)

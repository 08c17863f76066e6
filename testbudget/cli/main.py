"""Entry point of the command line: the table of commands, and the end of every failure in one sentence."""

import os
import sys
from collections.abc import Sequence
from typing import NamedTuple

from cyclopts import App, CycloptsError, Group

from testbudget.cli.failures import mistake_sentence, underscore_sentence
from testbudget.rewards.errors import InfrastructureError, SandboxError, UserError

INFRASTRUCTURE_ERROR, USER_ERROR, INTERRUPTED = 1, 2, 130
"""Exit codes other than 0."""


class Command(NamedTuple):
    """A command in the list of all, which is printed without importing any of them."""

    group: Group
    summary: str
    app: str


_RUNS = Group("Runs", sort_key=1)
_ANALYSES = Group("Analyses of finished runs", sort_key=2)
_PREDICTORS = Group("Predictors of difficulty", sort_key=3)
_WRITERS = Group("Test writers", sort_key=4)
_HELPERS = Group("Helpers", sort_key=5)

COMMANDS = {
    "init": Command(_RUNS, "Write a commented job file that runs as it is.", "init:app"),
    "run": Command(_RUNS, "Spend a compute cap on the tests of a batch of problems.", "run:app"),
    "status": Command(_RUNS, "Show how far a run is, live or finished.", "status:app"),
    "ctl": Command(_RUNS, "Pause, continue, stop or re-cap a run that goes.", "ctl:app"),
    "execute": Command(_RUNS, "Execute a file of candidate and test pairs.", "execute:app"),
    "view": Command(_RUNS, "Show runs in a browser, live while one goes on.", "view:view_app"),
    "report": Command(_ANALYSES, "Compare finished runs side by side.", "view:report_app"),
    "export": Command(_ANALYSES, "Write the picked programs of a finished run.", "export:app"),
    "compare": Command(
        _ANALYSES, "Compare policies, predictors and rules on a finished run.", "compare:app"
    ),
    "tune": Command(_ANALYSES, "Search for the best rule, policy and cap on a finished run.", "tune:app"),
    "train": Command(_PREDICTORS, "Train a predictor of difficulty on finished runs.", "train:app"),
    "predict": Command(_PREDICTORS, "Predict difficulty by a trained model.", "train:predict_app"),
    "distill": Command(_WRITERS, "Make training data for a test writer from finished runs.", "distill:app"),
    "finetune": Command(_WRITERS, "Train a test writer on distilled data.", "finetune:app"),
    "problems": Command(_HELPERS, "Check a source of problems and list it.", "problems:app"),
    "extract": Command(_HELPERS, "Show what the answers of models are read as.", "extract:app"),
    "import": Command(_HELPERS, "Import votes from elsewhere as a finished run.", "data:import_app"),
    "doctor": Command(_HELPERS, "Show and test the isolation layers of this machine.", "doctor:app"),
    "completion": Command(_HELPERS, "Print or install a completion script for a shell.", "completion:app"),
}
"""All commands by name."""

EXTRAS = {
    "datasets": "hub",
    "optuna": "tune",
    "ray": "cluster",
    "safetensors": "train",
    "sklearn": "train",
    "torch": "train",
    "transformers": "transformers",
    "vllm": "vllm",
}
"""The extra that installs an optional dependency, by name of its module."""


def build_app(chosen: str | None = None) -> App:
    """Build the parser of the whole command line.

    Args:
        chosen: name of the command that is called. Its help is its own; all others are only listed.
    """
    app = App(
        name="testbudget",
        help="Spend one compute budget for unit tests across many programming problems, where each next "
        "test helps most.",
        help_epilogue="Example:\n\n  testbudget run job.yaml --cap.tests 500",
        help_format="plaintext",  # other formats import a parser of Markdown
        version=_version,
        help_on_error=False,
    )
    app["--help"].group = app["--version"].group = _HELPERS
    for position, (name, command) in enumerate(COMMANDS.items()):
        app.command(
            f"testbudget.cli.{command.app}",
            name=name,
            group=command.group,
            sort_key=position,
            help=None if name == chosen else command.summary,
        )
    return app


def main(arguments: Sequence[str] | None = None) -> int:  # noqa: PLR0911 - one end a kind of failure
    """Run one command.

    Args:
        arguments: words of the command line without the program's name; None takes those of the process.

    Returns:
        The exit code: 0, 1 (infrastructure), 2 (user error) or 130 (interrupted).
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if wrong := underscore_sentence(words):
        return _failed(wrong, USER_ERROR)
    app = build_app(words[0] if words else None)
    app.suppress_keyboard_interrupt = False
    try:
        app(words, exit_on_error=False, print_error=False, result_action="return_value")
        sys.stdout.flush()
    except CycloptsError as error:
        return _failed(mistake_sentence(error, list(COMMANDS)), USER_ERROR)
    except UserError as error:
        return _failed(str(error), USER_ERROR)
    except InfrastructureError as error:
        return _failed(f"the run stopped and can be resumed: {error}", INFRASTRUCTURE_ERROR)
    except SandboxError as error:
        return _failed(f"stopped without results: {error}", INFRASTRUCTURE_ERROR)
    except ModuleNotFoundError as error:
        extra = EXTRAS.get((error.name or "").partition(".")[0])
        if extra is None:
            raise
        return _failed(f"{words[0]} needs {error.name}: pip install 'testbudget[{extra}]'", USER_ERROR)
    except KeyboardInterrupt as error:
        goes_on = "; `run --resume` and `tune` continue where they stopped" * (words[0] in ("run", "tune"))
        goes_on += "; `finetune --resume` goes on from its last checkpoint" * (words[0] == "finetune")
        return _failed(str(error) or f"interrupted{goes_on}", INTERRUPTED)
    except BrokenPipeError:  # the reader of a pipe has ended, such as `head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _version() -> str:
    from testbudget import __version__  # read from the package's metadata, which takes a while

    return __version__


def _failed(message: str, code: int) -> int:
    lines = [" ".join(line.split()) for line in message.splitlines() if line.strip()]
    sys.stderr.write(f"testbudget: {f'{os.linesep}  '.join(lines)}\n")
    return code

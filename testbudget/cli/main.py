"""The command line."""

import argparse
import importlib
import sys
from collections.abc import Sequence

from testbudget.executors.execution.runner import SandboxError
from testbudget.rewards.errors import InfrastructureError, UserError

COMMANDS = {
    "run": "run.add",
    "report": "data.add_of_report",
    "compare": "compare.add",
    "tune": "tune.add",
    "train": "train.add",
    "predict": "train.add_of_predict",
    "problems": "data.add",
    "execute": "execute.add",
    "doctor": "doctor.add",
    "import": "data.add_of_import_votes",
}
"""Modules and functions of the commands, by name."""

USER_ERROR, INTERRUPTED = 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit code: 0, 1 (infrastructure), 2 (user error), 130 (interrupted)."""
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = argparse.ArgumentParser(
        prog="testbudget",
        description="Spend one compute budget for unit tests across many programming problems, where each "
        "next test helps most.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    # A command is imported when it is the one, since some need Ray and others should start at once.
    for name in [name for name in arguments[:1] if name in COMMANDS] or COMMANDS:
        module, _, function = COMMANDS[name].partition(".")
        getattr(importlib.import_module(f"testbudget.cli.{module}"), function)(commands)
    parsed = parser.parse_args(arguments)
    try:
        parsed.command(parsed)
    except UserError as error:
        return _ended(str(error), USER_ERROR)
    except InfrastructureError as error:
        return _ended(f"the run stopped and can be resumed: {error}", 1)
    except SandboxError as error:
        return _ended(f"stopped without results: {error}", 1)
    except KeyboardInterrupt:
        return _ended("interrupted; `run --resume` and `tune` go on with what they began", INTERRUPTED)
    return 0


def _ended(message: str, code: int) -> int:
    sys.stderr.write(f"testbudget: {message}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())

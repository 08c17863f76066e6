"""``testbudget problems``: check a source of problems and show what it holds."""

import argparse

from rich.console import Console

from scheduler.problems import load_problems


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds the command to the command line."""
    parser = commands.add_parser(
        "problems",
        help="check a source of problems",
        description="Check a source of problems and list what it holds, one problem per line.",
    )
    parser.add_argument("source", help="humaneval, mbpp:FILE, or a JSONL file of problems")
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> None:
    """Lists the problems."""
    console = Console()
    problems = load_problems(arguments.source)
    for problem in problems:
        truth = "with ground truth" if problem.ground_truth else "without ground truth"
        line = f"{problem.id}  {problem.entry_point}  {problem.language}  {truth}"
        console.print(line, highlight=False, soft_wrap=True)
    console.print(f"{len(problems)} problems", highlight=False)

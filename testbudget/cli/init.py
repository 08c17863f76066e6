"""``testbudget init``: a job file for a start, after three questions or from flags."""

import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

from testbudget.rewards.errors import UserError, choice_sentence

app = App(
    name="init",
    help_epilogue="""Without --programs three questions are asked.

Examples:

  testbudget init                             asks, and writes job.yaml
  testbudget init own.yaml --programs own     with files of your own
  testbudget init --programs served --model qwen2.5-coder \\
      --base-url http://localhost:11434/v1
  testbudget init --programs cluster --problems humaneval \\
      --model Qwen/Qwen2.5-Coder-7B-Instruct""",
)


@app.default
def init(
    job: Path = Path("job.yaml"),
    /,
    *,
    programs: Annotated[
        Literal["own", "served", "cluster"] | None,
        Parameter(
            help="Origin of candidates and tests: own (files), served (a model behind a server), "
            "cluster (models on GPUs)."
        ),
    ] = None,
    problems: str | None = None,
    candidates: str | None = None,
    tests: str | None = None,
    model: str | None = None,
    test_model: str | None = None,
    base_url: str | None = None,
    api_key_env: str | None = None,
    address: str | None = None,
) -> None:
    """Write a commented job file that runs as it is.

    Files that it names must exist; where none of them does, small ones are
    written as a pattern. The job is checked before it is written.

    Args:
        job: Job file; must not exist.
        problems: Source of the problems: humaneval, or a file of rows
            (default: problems.jsonl).
        candidates: File of candidates, for own (default: candidates.jsonl).
        tests: File of tests, for own (default: tests.jsonl).
        model: Name of the model that writes the programs, for served also the
            tests.
        test_model: Name of the model that writes the tests, for cluster
            (default: KAKA22/CodeRM-8B).
        base_url: Address of the server, for served
            (default: http://localhost:11434/v1).
        api_key_env: Variable that holds the server's key (default: no key).
        address: Address of the Ray cluster, for cluster (default: auto).
    """
    from testbudget.first_job import FirstJob, write_first_job

    given = {
        "problems": problems,
        "candidates": candidates,
        "tests": tests,
        "model": model,
        "test_model": test_model,
        "base_url": base_url,
        "api_key_env": api_key_env,
        "address": address,
    }
    choices = {name: value for name, value in given.items() if value is not None}
    if job.exists():
        raise UserError(f"{job} exists. Choose another name.")
    if programs is None:
        if not sys.stdin.isatty():
            raise UserError("init needs --programs own, served or cluster where nobody can be asked")
        programs = _ask(choices)
    if programs == "cluster":
        choices.setdefault("model", "Qwen/Qwen2.5-Coder-7B-Instruct")
    written = write_first_job(FirstJob(programs, **choices), job)
    if len(written) > 1:
        print(f"written as a pattern: {', '.join(str(file) for file in written[:-1])}")
    print(f"{job} is ready: testbudget run {job}")


def _ask(choices: dict[str, str]) -> Literal["own", "served", "cluster"]:
    """Ask the three questions; the answers that flags do not give go into the choices."""
    from testbudget.first_job import PROGRAMS

    def answer(question: str, default: str) -> str:
        try:
            return input(f"{question} [{default}]: ").strip() or default
        except EOFError:
            raise UserError("init ended without an answer; nothing is written") from None

    choices.setdefault("problems", answer("1. Problems: a file of rows, or humaneval", "problems.jsonl"))
    for name, meaning in PROGRAMS.items():
        print(f"     {name}: {meaning}")
    programs = answer("2. Candidates and tests come from", "own")
    match programs:
        case "own":
            files = answer("3. Files of candidates and of tests", "candidates.jsonl tests.jsonl").split()
            if len(files) != 2:
                raise UserError(f"init needs two files, of candidates and of tests, but got {len(files)}")
            choices.setdefault("candidates", files[0])
            choices.setdefault("tests", files[1])
        case "served":
            words = answer("3. Server and model", "http://localhost:11434/v1 qwen2.5-coder").split()
            if len(words) != 2:
                raise UserError(f"init needs an address and a name of a model but got {len(words)} words")
            choices.setdefault("base_url", words[0])
            choices.setdefault("model", words[1])
        case "cluster":
            models = answer(
                "3. Models of candidates and of tests", "Qwen/Qwen2.5-Coder-7B-Instruct KAKA22/CodeRM-8B"
            ).split()
            choices.setdefault("model", models[0])
            choices.setdefault("test_model", models[-1])
        case _:
            raise UserError(choice_sentence("the origin of candidates and tests", programs, PROGRAMS))
    return programs

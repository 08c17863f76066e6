"""Job files for a start: commented, checked, and ready to run."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from testbudget.rewards.errors import UserError
from testbudget.traces.files import check_place, write_text

Programs = Literal["own", "served", "cluster"]
PROGRAMS: Mapping[Programs, str] = {
    "own": "files of your own",
    "served": "a model behind a server (Ollama, vLLM, llama.cpp, hosted)",
    "cluster": "models on GPUs, of this machine or of a Ray cluster",
}
"""Origins of candidates and tests, with the words that they are asked by."""

SAMPLE_FILES: Mapping[str, list[dict[str, str]]] = {
    "problems": [
        {
            "id": "area",
            "prompt": 'def area(w, h):\n    """Area of a rectangle."""\n',
            "entry_point": "area",
        },
        {
            "id": "last",
            "prompt": 'def last(xs):\n    """Last element, or None."""\n',
            "entry_point": "last",
        },
    ],
    "candidates": [
        {"problem": "area", "code": "def area(w, h):\n    return w * h\n"},
        {"problem": "area", "code": "def area(w, h):\n    return w + h\n"},
        {"problem": "last", "code": "def last(xs):\n    return xs[-1]\n"},
        {"problem": "last", "code": "def last(xs):\n    return xs[-1] if xs else None\n"},
    ],
    "tests": [
        {"problem": "area", "code": "assert area(2, 2) == 4"},
        {"problem": "area", "code": "assert area(2, 3) == 6"},
        {"problem": "last", "code": "assert last([1, 2]) == 2"},
        {"problem": "last", "code": "assert last([]) is None"},
    ],
}
"""Rows for a first run, where there are no files yet."""

_TESTS_PER_PROBLEM = 8
_HEAD = """\
# Job of testbudget: `testbudget run {name}`. Every field: `testbudget run --help`, docs/job_file.md.
# Paths are relative to the folder of this file.

problems:
  source: {problems}{source_remark}
"""
_OWN = """
candidates:                 # a row each: problem (an id), and code
  from_file: {candidates}

tests:                      # a row each: problem (an id), and code of any kind
  from_file: {tests}

cap:                        # the whole run; all limits that are set hold
  tests: {cap}{cap_remark}
"""
_SERVED = """
candidates:
  count: 16                 # programs per problem, sampled before the first test
  model: &model
    name: {model}
    base_url: {base_url}
{key}    template: chat          # how it is asked; other templates: docs/served_models.md

tests:
  model:
    <<: *model              # the same server, or another model
    template: coderm        # how it is asked for a test

policy:
  max_tests: 32             # per problem

cap:                        # the whole run; all limits that are set hold
  tests: {cap}{cap_remark}
# usd: 5                    # dollars, with what your server charges per million tokens:
# prices: {{models: {{{model}: {{prompt_tokens: 0.15, completion_tokens: 0.60}}}}}}
"""
_CLUSTER = """
candidates:
  count: 16                 # programs per problem, sampled before the first test
  model:
    name: {model}
    template: chat
    gpus: 1                 # per engine
    actors: 1               # engines

tests:
  model:
    name: {test_model}
    template: coderm
    gpus: 1
    actors: 1

policy:
  max_tests: 32             # per problem

cap:                        # the whole run; all limits that are set hold
  tests: {cap}{cap_remark}
# gpu_seconds: 3600         # of writing tests
# cpu_seconds: 3600         # of executing them

cluster:
  address: {address}{address_remark}
"""


@dataclass(frozen=True, slots=True)
class FirstJob:
    """Choices for a first job.

    Attributes:
        programs: origin of candidates and tests.
        problems: source of the problems.
        candidates, tests: files, for ``own``.
        model: name of the model.
        test_model: name of the model of the tests, for ``cluster``.
        base_url: address of the server, for ``served``.
        api_key_env: name of the variable with the server's key; None without one.
        address: address of the Ray cluster, for ``cluster``.
    """

    programs: Programs
    problems: str = "problems.jsonl"
    candidates: str = "candidates.jsonl"
    tests: str = "tests.jsonl"
    model: str = "qwen2.5-coder"
    test_model: str = "KAKA22/CodeRM-8B"
    base_url: str = "http://localhost:11434/v1"
    api_key_env: str | None = None
    address: str = "auto"


def write_first_job(choices: FirstJob, path: Path) -> list[Path]:
    """Write a job file that runs as it is.

    Where none of the files exists that it names, small ones are written as a pattern.

    Args:
        choices: the choices.
        path: the job file; must not exist.

    Returns:
        The files that were written, the job last.

    Raises:
        UserError: the file exists or cannot be written, or a file that it names is missing or has mistakes.
    """
    from testbudget.scheduler.job_file import load_job

    if path.exists():
        raise UserError(f"{path} exists. Choose another name.")
    check_place(path, directory=False)
    samples = _missing_samples(choices, path.parent)
    new = []
    try:
        for name, file in samples.items():
            lines = [json.dumps(row) + "\n" for row in SAMPLE_FILES[name]]
            new.append(file)
            write_text("".join(lines), file)
        text = _text(choices, path)
        new.append(path)
        write_text(text, path)
        load_job(path)
    except OSError as error:
        _remove(new)
        raise UserError(f"{path} cannot be written: {error.strerror}") from None
    except UserError:
        _remove(new)
        raise
    return new


def _remove(files: list[Path]) -> None:
    for file in files:
        file.unlink(missing_ok=True)


def _missing_samples(choices: FirstJob, folder: Path) -> dict[str, Path]:
    """Files to write as a pattern, by name of their rows.

    Raises:
        UserError: some of the files that the job needs are there, and others are missing.
    """
    if choices.problems == "humaneval" or choices.problems.startswith("hub:"):
        needed = {}
    else:
        needed = {"problems": folder / choices.problems.rpartition(":")[2]}
    if choices.programs == "own":
        needed |= {"candidates": folder / choices.candidates, "tests": folder / choices.tests}
    missing = {name: file for name, file in needed.items() if not file.exists()}
    if missing and (len(missing) < len(needed) or choices.problems == "humaneval"):
        name, file = next(iter(missing.items()))
        raise UserError(f"{name} must be a file of rows but there is no {file}")
    if any(file.suffix != ".jsonl" for file in missing.values()):
        raise UserError(f"problems must be a file of rows but there is no {next(iter(missing.values()))}")
    return missing


def _text(choices: FirstJob, path: Path) -> str:
    """Text of the job file, with a cap that fits its problems.

    Raises:
        UserError: a file has mistakes.
    """
    from testbudget.traces.problem_source import ProblemSource
    from testbudget.traces.problems import load_problems
    from testbudget.traces.tests_file import read_test_file

    source = ProblemSource.of(choices.problems).in_folder(path.parent)
    problems = load_problems(source)
    remark = "  # rows of id, prompt, entry_point" if choices.problems.endswith(".jsonl") else ""
    if choices.programs == "own":
        rows = read_test_file(path.parent / choices.tests, problems).tests
        cap, cap_remark = sum(map(len, rows.values())), f"  # of {sum(map(len, rows.values()))} in the file"
    else:
        cap = _TESTS_PER_PROBLEM * len(problems)
        cap_remark = f"  # {_TESTS_PER_PROBLEM} per problem on average; the policy says who gets more"
    key = f"    api_key_env: {choices.api_key_env}\n" if choices.api_key_env else ""
    body = {"own": _OWN, "served": _SERVED, "cluster": _CLUSTER}[choices.programs]
    where = "  # this machine's cluster, or the enclosing job's" if choices.address == "auto" else ""
    quoted = replace(
        choices,
        model=_quoted(choices.model),
        test_model=_quoted(choices.test_model),
        base_url=_quoted(choices.base_url),
    )
    values = {name: getattr(quoted, name) for name in FirstJob.__slots__}
    return (_HEAD + body).format(
        **values,
        name=path.name,
        source_remark=remark,
        cap=cap,
        cap_remark=cap_remark,
        key=key,
        address_remark=where,
    )


def _quoted(text: str) -> str:
    """The text as a value of YAML, in quotes only where they are needed."""
    plain = text.replace("/", "").replace("-", "").replace(".", "").replace("_", "")
    simple = (
        plain.isalnum()
        and not plain.isdecimal()
        and text.lower() not in ("true", "false", "null", "no", "yes")
    )
    return text if simple or text.startswith(("http://", "https://")) else json.dumps(text)

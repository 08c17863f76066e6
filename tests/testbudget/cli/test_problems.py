"""``testbudget problems``: what a source is understood as, and its mistakes."""

import json

import pytest

from testbudget.cli.main import main

ROWS = [
    {"number": k, "question": f"def f{k}(x):\n", "entry_point": f"f{k}", "level": "easy",
     "ground_truth": f"assert f{k}(1) == {k}\n", "reference": f"def f{k}(x):\n    return {k}\n"}
    for k in range(12)
]  # fmt: skip
FIELDS = "{id: number, prompt: question}"


@pytest.fixture
def rows(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return path


def test_a_source_is_summed_up_and_its_first_problems_are_listed(rows, capsys):
    assert main(["problems", str(rows), "--fields", FIELDS, "--no-check"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("0  f0  python  1 assert test\n1  f1  python")
    assert "and 2 more (--json lists all)" in printed
    assert f"12 problems from {rows}, form own (recognised by its columns)" in printed
    assert "ground truths: assert 12" in printed
    assert "references: 12" in printed
    assert "metadata: level" in printed


def test_json_lists_every_problem_with_its_place_and_metadata(rows, capsys):
    assert main(["problems", str(rows), "--fields", FIELDS, "--no-check", "--json", "--limit", "11"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert len(found["problems"]) == 11
    last = found["problems"][-1]
    assert (last["id"], last["place"], last["metadata"]) == ("10", f"{rows}:11", {"level": "easy"})


def test_files_of_candidates_and_tests_are_read_and_their_gaps_told(rows, tmp_path, capsys):
    samples, tests = tmp_path / "samples.jsonl", tmp_path / "tests.jsonl"
    lines = [{"problem": k, "code": "def g(x): pass" if k < 7 else f"def f{k}(x): pass"} for k in range(11)]
    samples.write_text("".join(json.dumps(line) + "\n" for line in lines))
    tests.write_text(json.dumps({"problem": 3, "test": "assert f3(1) == 3"}))
    flags = ["--candidates", str(samples), "--tests", str(tests), "--no-check"]
    assert main(["problems", str(rows), "--fields", FIELDS, *flags]) == 0
    printed = capsys.readouterr().out
    assert "candidates: 11, 0 to 1 for each problem\n    none for 11\n" in printed
    assert "none for 0, 1, 2, 4, 5 and 6 more" in printed
    assert f"warning: {samples}:1 the program for problem 0 does not define f0" in printed
    assert "and 2 more warnings" in printed


def test_a_ground_truth_that_cannot_judge_is_refused_with_its_place(tmp_path, capsys):
    row = {
        "id": "a",
        "prompt": "def f(x):\n",
        "entry_point": "f",
        "ground_truth": "def check(c):\n    pass\n",
    }
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(row))
    assert main(["problems", str(path)]) == 2
    assert f"testbudget: {path}:1 the ground truth of a " in capsys.readouterr().err


def test_several_mistakes_are_told_at_once(tmp_path, capsys):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"id": 1}\n[1]\n{bad\n')
    assert main(["problems", str(path)]) == 2
    message = capsys.readouterr().err.splitlines()
    assert message[0].startswith(
        f"testbudget: {path}:1 prompt is required but it is missing: the row has id"
    )
    assert message[1] == f"  {path}:2 must be a JSON object but got [1]"
    assert message[2].startswith(f"  {path}:3 must be a JSON object but column 2 is not")


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--preset", "lcb"], "--preset must be one of own, humaneval, humaneval+, mbpp, livecodebench, "),
        (["--fields", "id"], "--fields must be a mapping in YAML but got 'id'"),
        (["--fields", "{promt: question}"], "fields.promt must be a field of the form own"),
        (["--fields", "{id: number, prompt: questions}"], "but got 'questions': did you mean question?"),
        (["--limit", "0"], "--limit must be at least 1 but got 0"),
        (["--fields", FIELDS, "--candidates", "absent.jsonl"], "absent.jsonl cannot be read: No such file"),
    ],
)
def test_wrong_flags_are_refused_in_a_sentence(rows, capsys, flags, sentence):
    assert main(["problems", str(rows), "--no-check", *flags]) == 2
    assert sentence in capsys.readouterr().err


def test_a_language_that_cannot_be_judged_is_refused_unless_nothing_is_run(tmp_path, capsys):
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({"id": 1, "prompt": "Read n", "language": "perl"}))
    assert main(["problems", str(path), "--no-check"]) == 0
    assert main(["problems", str(path)]) == 2
    assert f"testbudget: {path}:1 language must be one of python, " in capsys.readouterr().err


def test_packages_that_ground_truths_import_are_looked_up(rows, capsys):
    flags = ["--fields", FIELDS, "--packages", "no-such-distribution"]
    assert main(["problems", str(rows), *flags]) == 2
    assert "packages names no-such-distribution, which is not installed" in capsys.readouterr().err


def test_a_ground_truth_may_import_a_package_that_is_named(tmp_path, capsys):
    row = {"id": 1, "prompt": "p", "entry_point": "f", "reference": "def f(x):\n    return x + 1\n"}
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(row | {"ground_truth": "import pathspec\nassert f(1) == 2"}))
    assert main(["problems", str(path)]) == 2
    assert "module pathspec" in capsys.readouterr().err  # of the judge or of the candidate
    assert main(["problems", str(path), "--packages", "pathspec"]) == 0


def test_candidates_and_tests_are_read_from_columns_of_other_names(rows, tmp_path, capsys):
    samples, tests = tmp_path / "samples.csv", tmp_path / "tests.csv"
    samples.write_text("nr,reply\n3,def f3(x): return 3\n")
    tests.write_text("nr,claim\n3,assert f3(1) == 3\n")
    files = ["--candidates", str(samples), "--candidate-fields", "{problem: nr, code: reply}"]
    files += ["--tests", str(tests), "--test-fields", "{problem: nr, code: claim}"]
    assert main(["problems", str(rows), "--fields", FIELDS, "--no-check", *files]) == 0
    assert "candidates: 1, 0 to 1 for each problem" in capsys.readouterr().out

"""Rows of pairs as people have them are read, or each mistake is told."""

import datetime
import gzip
import json
import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from testbudget.cli.pair_rows import FileRows, StreamRows, open_rows, same_file
from testbudget.rewards.comparison import DEFAULT_COMPARISON, Comparison, TextComparison
from testbudget.rewards.errors import UserError
from testbudget.rewards.problem import TestKind
from testbudget.rewards.stdin_case import StdinCase

GOOD = {"id": "a", "candidate": "def f(x): return x", "test": "assert f(1) == 1", "kind": "assert"}
STDIN = {
    "id": "p",
    "candidate": "print(input())",
    "kind": "stdin",
    "stdin": "1\n",
    "expected_stdout": "1\n",
}


def file_of(tmp_path, *rows, end="\n", start=""):
    path = tmp_path / "pairs.jsonl"
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    path.write_bytes((start + "".join(line + end for line in lines)).encode())
    return path


def rows_of(path, warn=lambda _: None):
    rows = FileRows(path, warn)
    taken = rows.take(1000)
    assert rows.exhausted
    rows.close()
    return taken


def mistakes(path):
    with pytest.raises(UserError) as caught:
        FileRows(path, lambda _: None)
    return str(caught.value)


def test_every_kind_becomes_a_request(tmp_path):
    kinds = ("assert", "unittest", "pytest", "check")
    rows = [GOOD | {"id": kind, "kind": kind, "entry_point": "f"} for kind in kinds]
    *functions, program = rows_of(file_of(tmp_path, *rows, STDIN))
    assert [row.request.kind for row in functions] == [TestKind(kind) for kind in kinds]
    assert all(row.request.test == GOOD["test"] and row.request.entry_point == "f" for row in functions)
    assert program.request.kind == TestKind.STDIN
    assert program.request.test == StdinCase("1\n", "1\n").as_text()
    assert program.request.comparison == DEFAULT_COMPARISON


def test_a_row_says_how_outputs_are_compared(tmp_path):
    given = {"text": "tokens", "absolute": 1e-6, "relative": 0, "checker": "def checker(*_): return True"}
    (row,) = rows_of(file_of(tmp_path, STDIN | {"comparison": given}))
    assert row.request.comparison == Comparison(TextComparison.TOKENS, 1e-6, 0, given["checker"])


def test_ids_are_texts_whole_numbers_or_numbers_of_lines(tmp_path):
    rows = [GOOD | {"id": 7}, {k: v for k, v in GOOD.items() if k != "id"}, "", GOOD | {"id": None}]
    assert [row.id for row in rows_of(file_of(tmp_path, *rows))] == ["7", "2", "4"]


def test_further_fields_ride_along(tmp_path):
    rows = [
        GOOD | {"difficulty": "easy", "source": {"year": 2024}},
        GOOD | {"id": "b", "metadata": {"a": 1, "b": 2}, "b": 3},
        GOOD | {"id": "c", "metadata": "text"},
    ]
    assert [row.metadata for row in rows_of(file_of(tmp_path, *rows))] == [
        {"difficulty": "easy", "source": {"year": 2024}},
        {"a": 1, "b": 3},
        {"metadata": "text"},
    ]


def test_rows_come_in_other_formats_too(tmp_path):
    path = tmp_path / "pairs.parquet"
    day = datetime.date(2024, 1, 2)
    rows = [GOOD | {"day": day, "level": None}, GOOD | {"id": "b", "level": 2}]
    pq.write_table(pa.Table.from_pylist(rows), path)
    assert [(row.id, row.metadata) for row in rows_of(path)] == [
        ("a", {"day": "2024-01-02"}),
        ("b", {"level": 2}),
    ]
    table = tmp_path / "pairs.csv"
    table.write_text(
        "candidate,kind,stdin,expected_stdout,comparison,language\n"
        'print(1),stdin,0,1,"{""absolute"": 0.5}",Python3\n'
    )
    (row,) = rows_of(table)
    assert (row.id, row.request.language, row.request.comparison.absolute) == ("2", "python", 0.5)
    packed = tmp_path / "pairs.json.gz"
    packed.write_bytes(gzip.compress(json.dumps([GOOD, GOOD | {"id": "b"}]).encode()))
    assert [row.id for row in rows_of(packed)] == ["a", "b"]


def test_a_name_that_looks_like_a_slip_is_told_once(tmp_path):
    told = []
    rows = [GOOD | {"id": str(n), "entrypoint": "f", "difficulty": 1} for n in range(3)]
    rows_of(file_of(tmp_path, *rows), told.append)
    (sentence,) = told
    assert "pairs.jsonl:1 entrypoint" in sentence
    assert "did you mean entry_point?" in sentence


def test_a_byte_order_mark_and_line_ends_of_any_system_are_fine(tmp_path):
    path = file_of(tmp_path, GOOD, GOOD | {"id": "b"}, end="\r\n", start="\ufeff")
    assert [row.id for row in rows_of(path)] == ["a", "b"]


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ("{", "must be a JSON object but column 2 is not"),
        ("3", "must be a JSON object but got 3"),
        ("[" * 100_000, "must be a JSON object but"),
        (GOOD | {"kind": "doctest"}, "kind must be one of assert, unittest, pytest, check, stdin but got"),
        (GOOD | {"language": "cobol"}, "language must be one of python"),
        ({"id": "a", "kind": "assert", "test": ""}, "candidate is required but it is missing"),
        ({"candidate": "", "kind": "pytest"}, "test is required by kind pytest but it is missing"),
        ({"candidate": "", "kind": "stdin", "stdin": ""}, "expected_stdout is required by kind stdin"),
        (GOOD | {"stdin": "1"}, "stdin must not be there with kind assert"),
        (GOOD | {"id": 1.5}, "id must be text or a whole number but got 1.5"),
        (GOOD | {"id": True}, "id must be text or a whole number but got True"),
        (STDIN | {"comparison": {"text": "fuzzy"}}, "comparison.text must be one of lines, exact"),
        (STDIN | {"comparison": {"absolut": 1}}, "comparison.absolut is not a known field: did you mean"),
        (STDIN | {"comparison": {"absolute": -1}}, "comparison.absolute must be at least 0"),
    ],
)
def test_a_wrong_row_is_named_with_its_line(tmp_path, row, sentence):
    message = mistakes(file_of(tmp_path, GOOD | {"id": "first"}, row))
    assert message.startswith(f"{tmp_path}/pairs.jsonl:2 {sentence}")


def test_bytes_that_are_no_text_are_named_with_their_line(tmp_path):
    path = tmp_path / "pairs.jsonl"
    path.write_bytes(json.dumps(GOOD).encode() + b"\n\xff\n")
    assert "pairs.jsonl:2 must be UTF-8 but got b'\\xff'" in mistakes(path)


def test_the_first_five_mistakes_are_told_and_the_number_of_the_others(tmp_path):
    wrong = [GOOD | {"id": "a"}, *({"id": str(n)} for n in range(6))]
    message = mistakes(file_of(tmp_path, GOOD, *wrong))
    assert "pairs.jsonl:2 id must be unique but 'a' is that of line 1 too\n" in message
    assert message.count("candidate is required") == 4
    assert message.endswith("\nand 2 more mistakes")


def test_a_number_of_a_line_is_an_id_like_any_other(tmp_path):
    rows = [GOOD | {"id": "2"}, {k: v for k, v in GOOD.items() if k != "id"}]
    assert "pairs.jsonl:2 id must be unique but '2' is that of line 1 too" in mistakes(
        file_of(tmp_path, *rows)
    )


def test_a_file_that_changes_after_its_check_is_an_error(tmp_path):
    path = file_of(tmp_path, GOOD, GOOD | {"id": "b"})
    rows = FileRows(path, lambda _: None)
    os.truncate(path, 3)
    with pytest.raises(UserError, match="must not change"):
        rows.take(2)
    rows.close()


def test_rows_of_a_stream_are_taken_as_they_come():
    reading, writing = os.pipe()
    rows = StreamRows(reading, lambda _: None)
    assert rows.take(9) == []
    line = json.dumps(GOOD).encode()
    os.write(writing, line[:10])
    assert rows.take(9) == []
    os.write(writing, line[10:] + b"\n{\n" + line)
    assert [(row.id, bool(row.error)) for row in rows.take(9)] == [("a", False), ("2", True)]
    assert not rows.exhausted
    os.close(writing)
    (last,) = rows.take(9)
    assert "id must be unique but 'a' is that of line 1 too" in last.error
    assert rows.exhausted
    rows.close()


def test_a_pipe_with_a_name_is_a_stream(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    writer = os.open(tmp_path / "pipe", os.O_RDWR)
    rows = open_rows(tmp_path / "pipe", lambda _: None)
    assert isinstance(rows, StreamRows)
    rows.close()
    os.close(writer)
    with pytest.raises(UserError, match="cannot be read"):
        open_rows(tmp_path / "none", lambda _: None)


def test_one_file_is_known_by_all_its_names(tmp_path):
    path = file_of(tmp_path, GOOD)
    (tmp_path / "symbolic").symlink_to(path)
    (tmp_path / "hard").hardlink_to(path)
    assert all(same_file(path, tmp_path / name) for name in ("pairs.jsonl", "symbolic", "hard"))
    assert not same_file(path, tmp_path / "other")
    (tmp_path / "other").write_text("")
    assert not same_file(path, tmp_path / "other")

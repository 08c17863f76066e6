"""Files of rows in every format and encoding, and files that are none."""

import bz2
import gzip
import json

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq
import pytest

from testbudget.rewards.errors import UserError
from testbudget.traces.rows.mistakes import Mistakes
from testbudget.traces.rows.reader import read_row_files

ROWS = [{"id": 1, "text": "é"}, {"id": 2, "text": "two\nlines"}]
LINES = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS)


def read(path, split=None):
    mistakes = Mistakes()
    rows = list(read_row_files(path, "rows must come from a file", mistakes, split))
    mistakes.refuse()
    return rows


def fields(path):
    return [row.fields for row in read(path)]


@pytest.mark.parametrize(
    "content",
    [
        LINES.encode(),
        LINES.encode("utf-8-sig"),
        LINES.replace("\n", "\r\n").encode(),
        f"\n\n  \n{LINES}\n \n".encode(),
        LINES.rstrip().encode(),
        LINES.encode("utf-16"),
        LINES.encode("utf-32"),
        gzip.compress(LINES.encode(), mtime=0),
        gzip.compress(LINES.encode()[:30], mtime=0) + gzip.compress(LINES.encode()[30:], mtime=0),
        bz2.compress(LINES.encode()),
        bytes(pa.compress(LINES.encode(), "zstd", asbytes=True)),
        json.dumps(ROWS).encode(),
        json.dumps(ROWS, indent=1).encode("utf-8-sig"),
        json.dumps({"data": ROWS, "version": 2}, indent=1).encode(),
        json.dumps({"rows": [{"row_idx": 0, "row": row} for row in ROWS]}, indent=1).encode(),
    ],
)
@pytest.mark.parametrize("name", ["rows.jsonl", "rows.json", "rows"])
def test_rows_of_texts_are_the_same_whatever_the_encoding_and_the_name(tmp_path, content, name):
    path = tmp_path / name
    path.write_bytes(content)
    if name == "rows.jsonl" and content.startswith((b'{"data"', b'{"rows"')):
        return  # one line of JSON Lines is one row
    assert fields(path) == ROWS


@pytest.mark.parametrize(
    "document",
    [
        {"id": [1, 2], "text": ["a", None]},
        {"id": {"0": 1, "1": 2}, "text": {"0": "a", "1": None}},
        [{"id": 1, "text": "a"}, {"id": 2, "text": None}],
    ],
)
def test_columns_of_a_document_are_rows_and_null_is_no_value(tmp_path, document):
    path = tmp_path / "rows.json"
    path.write_text(json.dumps(document))
    assert fields(path) == [{"id": 1, "text": "a"}, {"id": 2}]


def test_an_object_by_ids_gives_rows_with_their_ids(tmp_path):
    path = tmp_path / "rows.json"
    path.write_text(json.dumps({"a": {"text": 1}, "b": {"text": 2, "id": "own"}}))
    assert fields(path) == [{"id": "a", "text": 1}, {"id": "own", "text": 2}]


def test_a_pretty_printed_object_is_one_row(tmp_path):
    path = tmp_path / "row.jsonl"
    path.write_text(json.dumps(ROWS[0], indent=2))
    assert fields(path) == ROWS[:1]


def test_csv_may_hold_quoted_line_ends_and_leaves_empty_cells_out(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text('\ufeffid,text,\r\n1,"a ""b"",\nc",\r\n\r\n2,,x\r\n')
    first, second = read(path)
    assert (first.fields, second.fields) == ({"id": "1", "text": 'a "b",\nc'}, {"id": "2"})
    assert (first.place, second.place) == (f"{path}:2", f"{path}:5")


@pytest.mark.parametrize(
    ("name", "content"), [("rows.csv", "id;text\n1;a\n"), ("rows.tsv.gz", "id\ttext\n1\ta\n")]
)
def test_cells_may_be_separated_by_semicolons_and_tabs(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(gzip.compress(content.encode()) if name.endswith("gz") else content.encode())
    assert fields(path) == [{"id": "1", "text": "a"}]


def test_parquet_and_arrow_files_keep_lists_structs_and_maps(tmp_path):
    rows = [{"id": 1, "pairs": [{"input": "1", "output": "2"}], "nan": float("nan"), "m": [("a", 1)]}]
    kinds = {"id": pa.int32(), "pairs": pa.list_(pa.struct({"input": pa.string(), "output": pa.string()}))}
    schema = pa.schema({**kinds, "nan": pa.float64(), "m": pa.map_(pa.string(), pa.int8())})
    table = pa.Table.from_pylist(rows, schema=schema)
    pq.write_table(table, tmp_path / "rows.parquet")
    for name, opened in (("stream.arrow", pa.ipc.new_stream), ("file.arrow", pa.ipc.new_file)):
        with opened(tmp_path / name, table.schema) as writer:
            writer.write_table(table)
    for name in ("rows.parquet", "stream.arrow", "file.arrow"):
        assert fields(tmp_path / name) == [{"id": 1, "pairs": rows[0]["pairs"], "m": {"a": 1}}]
    assert read(tmp_path / "rows.parquet")[0].place == f"{tmp_path / 'rows.parquet'} row 1"


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("a.jsonl", b'{"a": 1}\n[1]\n', ":2 must be a JSON object but got [1]"),
        ("a.jsonl", b'{"a": 1,}\n', ":1 must be a JSON object but column 9 is not: "),
        ("a.jsonl", b"{'a': 1}\n", ":1 must be a JSON object but column 2 is not: "),
        ("a.jsonl", b'{"a": 1}{"a": 2}\n', ":1 must be a JSON object but column 9 is not: Extra data"),
        ("a.jsonl", b'{"a": 1}\n{"a": "caf\xe9"}\n', ":2 must be UTF-8 but got b'\\xe9'"),
        ("a.jsonl", b'{"a": 1}\n{"a": ' + b"9" * 5000 + b"}", ":2 must be a JSON object but a value "),
        ("a.jsonl", b'{"a": 1}\n' + b"[" * 100_000, ":2 must be a JSON object but it is nested too deeply"),
        ("a.json", b'[{"a": 1},\n{"a": 2},\n]', ":3 must be JSON but column 1 is not: "),
        ("a.json", b'[{"a": 1},\n\n{"a": 2}, 3]', ":3 must be a JSON object but got 3"),
        ("a.json", b'[{"a": 1}] x', ":1 must be JSON but column 12 is not: Extra data"),
        ("a.json", b'{\n"a": 1\n"b": 2}', ":3 must be JSON but column 1 is not: "),
        ("a.json", b'{"a": [1], "b": []}', " must hold columns of one length but got a 1, b 0"),
        ("a.csv", b"a,b\n1\n", ":2 must have 2 cells, as the first line has, but got 1"),
        ("a.csv", b'a,b\n1,"2', ":2 must be CSV but unexpected end of data"),
        ("a.csv", b"a,a\n1,2", ":1 must name each column once but got a twice"),
        ("a.parquet", b"PAR1", " must be a Parquet file but "),
        ("a.arrow", b"abcdefg", " must be an Arrow file but "),
        ("a.jsonl", b"\xff\xfea", " must be UTF-16, as its byte order mark says, but truncated data"),
        ("a.jsonl.gz", gzip.compress(LINES.encode(), mtime=0)[:-9], "cannot be read: Compressed"),
        ("a.jsonl", b"PK\x03\x04rest", "a.jsonl is a zip archive"),
        ("a.pkl", b"\x80\x04rest", "a.pkl is a pickle, which is never read"),
        ("a.parquet", b"version https://git-lfs.github.com", "is a pointer of Git LFS instead of the file"),
    ],
)  # fmt: skip
def test_whatever_cannot_be_read_is_refused_in_a_sentence(tmp_path, name, content, sentence):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UserError) as error:
        read(path)
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)


def test_five_mistakes_are_told_and_the_others_counted(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"a": 1}\n' + "".join(f"[{k}]\n" for k in range(7)))
    with pytest.raises(UserError) as error:
        read(path)
    lines = str(error.value).splitlines()
    assert lines[0] == f"{path}:2 must be a JSON object but got [0]"
    assert lines[4:] == [f"{path}:6 must be a JSON object but got [4]", "and 2 more mistakes"]


def test_an_empty_file_has_no_rows(tmp_path):
    for name in ("a.jsonl", "a.json", "a.csv", "a"):
        (tmp_path / name).write_text(" \n")
        assert read(tmp_path / name) == []

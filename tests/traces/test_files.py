import signal
import subprocess
import sys
from pathlib import Path

import pytest

from testbudget.rewards.errors import UserError
from testbudget.traces.files import (
    check_place,
    path_beside,
    read_rows,
    whole_directory,
    whole_file,
    write_text,
)

KILLED = """
import os, signal
from pathlib import Path
from testbudget.traces.files import whole_directory, whole_file
path = Path({path!r})
with {writer}(path) as partial:
    (partial / "a" if partial.is_dir() else partial).write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def kill_in_the_middle(writer: str, path: Path) -> None:
    program = KILLED.format(path=str(path), writer=writer)
    ended = subprocess.run([sys.executable, "-c", program], check=False)
    assert ended.returncode == -signal.SIGKILL


def names(directory: Path) -> list[str]:
    return [path.name for path in directory.iterdir()]


def test_a_file_is_replaced_when_the_new_one_is_whole(tmp_path):
    path = tmp_path / "file.json"
    path.write_text("old")
    with whole_file(path) as partial:
        partial.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_killed_writer_leaves_the_old_file_and_its_leftover_is_overwritten(tmp_path):
    path = tmp_path / "file.json"
    path.write_text("old")
    kill_in_the_middle("whole_file", path)
    assert path.read_text() == "old"
    write_text("größer", path)
    assert path.read_text(encoding="utf-8") == "größer"
    assert list(tmp_path.iterdir()) == [path]


def test_a_writer_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "file.json"
    path.write_text("old")
    with pytest.raises(KeyError), whole_file(path) as partial:
        partial.write_text("half")
        raise KeyError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_in_a_folder_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        write_text("text", tmp_path / "none" / "file.json")


def test_a_directory_appears_when_it_is_complete(tmp_path):
    directory = tmp_path / "runs" / "one"
    with whole_directory(directory) as partial:
        (partial / "deep").mkdir()
        (partial / "deep" / "file").write_text("text")
        assert not directory.exists()
    assert (directory / "deep" / "file").read_text() == "text"
    assert list(directory.parent.iterdir()) == [directory]


def test_a_killed_writer_of_a_directory_leaves_none_and_its_leftover_is_not_reused(tmp_path):
    directory = tmp_path / "one"
    kill_in_the_middle("whole_directory", directory)
    assert not directory.exists()
    assert names(path_beside(directory)) == ["a"]
    with whole_directory(directory) as partial:
        (partial / "b").write_text("text")
    assert names(directory) == ["b"]
    assert list(tmp_path.iterdir()) == [directory]


def test_a_directory_that_fails_or_exists_leaves_nothing_behind(tmp_path):
    directory = tmp_path / "one"
    with pytest.raises(KeyError), whole_directory(directory):
        raise KeyError
    assert list(tmp_path.iterdir()) == []
    directory.mkdir()
    (directory / "old").write_text("old")
    with pytest.raises(OSError, match="not empty"), whole_directory(directory) as partial:
        (partial / "new").write_text("new")
    assert names(directory) == ["old"]
    assert list(tmp_path.iterdir()) == [directory]


def test_rows_have_the_numbers_of_their_lines(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"a": 1}\n\n{"a": "\u2028"}\n', encoding="utf-8")
    assert list(read_rows(path, "rows must be JSONL")) == [(1, {"a": 1}), (3, {"a": "\u2028"})]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b'{"a": 1}\n[1]', r":2 must be a JSON object but got \[1\]"),
        (b'{"a": }', ":1 must be a JSON object but column 7 is not"),
        (b'{}\n\n"\xff"', ":3 must be UTF-8 but got b'.xff'"),
    ],
)
def test_a_line_that_is_not_an_object_is_refused_with_its_number(tmp_path, content, sentence):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(content)
    with pytest.raises(UserError, match=sentence):
        list(read_rows(path, "rows must be JSONL"))


def test_a_file_that_cannot_be_read_is_refused_by_the_rule(tmp_path):
    with pytest.raises(UserError, match=r"rows must be JSONL but .* cannot be read: No such file"):
        list(read_rows(tmp_path / "none.jsonl", "rows must be JSONL"))


@pytest.mark.parametrize("directory", [True, False])
def test_a_place_that_cannot_be_made_is_refused_and_nothing_is_left(tmp_path, directory):
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file" / "x", Path("/proc/x/y")):
        with pytest.raises(UserError, match="cannot be written"):
            check_place(place, directory=directory)
    with pytest.raises(UserError, match="must be a"):
        check_place(tmp_path / "file" if directory else tmp_path, directory=directory)
    check_place(tmp_path / "a" / "b", directory=directory)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_byte_order_mark_is_no_part_of_the_first_row(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"id": 1}\r\n{"id": 2}\r\n')
    assert [row for _, row in read_rows(path, "rows must be")] == [{"id": 1}, {"id": 2}]

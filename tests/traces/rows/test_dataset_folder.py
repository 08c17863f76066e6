"""Dataset directories: saved by ``datasets``, in the layout of the hub, and mixed up."""

import json

import pyarrow as pa
import pyarrow.ipc
import pytest

from testbudget.rewards.errors import UserError
from testbudget.traces.rows.dataset_folder import ending_of, files_of_dataset, split_of
from testbudget.traces.rows.mistakes import Mistakes
from testbudget.traces.rows.reader import read_row_files


def put(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"from": name}) + "\n")


def save(folder, parts):
    """Write what ``save_to_disk`` of ``datasets`` writes: Arrow streams, and a state that lists them."""
    folder.mkdir(parents=True)
    names = [f"data-{k:05}-of-{len(parts):05}.arrow" for k in range(len(parts))]
    for name, rows in zip(names, parts, strict=True):
        table = pa.Table.from_pylist(rows)
        with pa.ipc.new_stream(folder / name, table.schema) as writer:
            writer.write_table(table)
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": name} for name in names]}))
    (folder / "dataset_info.json").write_text("{}")


def rows_in(folder, split=None):
    return [row.fields for row in read_row_files(folder, "rows must come from", Mistakes(), split)]


def test_a_saved_dataset_is_read_in_the_order_of_its_state(tmp_path):
    save(tmp_path / "saved", [[{"id": 1}], [{"id": 2}, {"id": 3}]])
    assert rows_in(tmp_path / "saved") == [{"id": 1}, {"id": 2}, {"id": 3}]
    (tmp_path / "saved" / "data-00001-of-00002.arrow").unlink()
    with pytest.raises(UserError, match=r"must hold all files of its state\.json but lacks data-00001"):
        rows_in(tmp_path / "saved")


def test_a_saved_dictionary_of_splits_gives_the_split_asked_for_or_test(tmp_path):
    for name in ("train", "test"):
        save(tmp_path / name, [[{"id": name}]])
    (tmp_path / "dataset_dict.json").write_text(json.dumps({"splits": ["train", "test"]}))
    assert rows_in(tmp_path) == [{"id": "test"}]
    assert rows_in(tmp_path, "train") == [{"id": "train"}]
    with pytest.raises(UserError, match="must be one of train, test but got 'tets': did you mean test"):
        rows_in(tmp_path, "tets")


def test_files_of_the_layout_of_the_hub_are_told_apart_by_their_names(tmp_path):
    put(
        tmp_path,
        "data/train-00000-of-00001.jsonl",
        "data/test-00000-of-00002.jsonl",
        "data/test-00001-of-00002.jsonl",
    )
    put(tmp_path, ".cache/other.jsonl", "dataset_infos.json")
    (tmp_path / "README.md").write_text("---\nlicense: mit\n---\n")
    dataset = files_of_dataset(tmp_path, None)
    assert [path.name for path in dataset.files] == [
        "test-00000-of-00002.jsonl",
        "test-00001-of-00002.jsonl",
    ]
    assert (dataset.split, list(dataset.splits)) == ("test", ["test", "train"])
    assert len(rows_in(tmp_path, "train")) == 1


def test_files_without_a_split_are_all_read(tmp_path):
    put(tmp_path, "a.jsonl", "b.jsonl")
    assert rows_in(tmp_path) == [{"from": "a.jsonl"}, {"from": "b.jsonl"}]


@pytest.mark.parametrize("default", [True, False])
def test_datasets_that_the_readme_lists_are_told_apart(tmp_path, default):
    put(tmp_path, "full/test.jsonl", "small/test.jsonl")
    with pytest.raises(UserError, match="must hold one dataset but has files in full, small: name one"):
        files_of_dataset(tmp_path, None)
    mark = "  default: true\n" if default else ""
    (tmp_path / "README.md").write_text(
        "---\nconfigs:\n- config_name: full\n  data_files:\n  - split: test\n    path: full/*\n"
        f"{mark}- config_name: small\n  data_files: small/*.jsonl\n---\n"
    )
    if default:
        assert rows_in(tmp_path) == [{"from": "full/test.jsonl"}]
    else:
        with pytest.raises(UserError, match=r"its README\.md lists full, small: name"):
            files_of_dataset(tmp_path, None)
    assert rows_in(tmp_path / "small") == [{"from": "small/test.jsonl"}]


def test_a_listed_path_outside_of_the_directory_is_not_read(tmp_path):
    put(tmp_path, "secret/a.jsonl", "set/b.txt")
    (tmp_path / "set" / "README.md").write_text("---\nconfigs:\n- data_files: ../secret/*.jsonl\n---\n")
    with pytest.raises(UserError, match="must hold files of rows"):
        files_of_dataset(tmp_path / "set", None)


def test_a_directory_of_several_formats_splits_or_nothing_is_refused(tmp_path):
    put(tmp_path / "formats", "a.jsonl", "a.csv")
    with pytest.raises(
        UserError, match=r"must hold files of one format but has \.csv, \.jsonl: name the file"
    ):
        files_of_dataset(tmp_path / "formats", None)
    put(tmp_path / "splits", "train.jsonl", "dev.jsonl")
    with pytest.raises(
        UserError, match=r"holds the splits validation, train: choose one by problems\.split"
    ):
        files_of_dataset(tmp_path / "splits", None)
    put(tmp_path / "nothing", "notes.txt")
    with pytest.raises(
        UserError, match=r"must hold files of rows \(.parquet, .*\) or a saved dataset but has none"
    ):
        files_of_dataset(tmp_path / "nothing", None)


def test_names_of_files_say_their_split_and_ending(tmp_path):
    names = ["test2.jsonl", "data/valid-1.parquet", "train/part.json", "latest.csv", "contest.jsonl"]
    assert [split_of(tmp_path.relative_to(tmp_path) / name) for name in names] == [
        "test", "validation", "train", None, None,
    ]  # fmt: skip
    assert [ending_of(tmp_path / name) for name in ("a.JSONL.gz", "b.tar.zst", "c")] == [
        ".jsonl",
        ".tar",
        "",
    ]

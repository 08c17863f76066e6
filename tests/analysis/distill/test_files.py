"""Directories of training data: what is written, and that the training libraries take it unchanged."""

import json

import pyarrow.parquet as pq
import pytest
import yaml

from testbudget.analysis.distill.distilled import KINDS, SIDES
from testbudget.analysis.distill.files import CARD, read_card
from testbudget.analysis.distill.judges import JUDGES_FILE, read_judging_problems
from testbudget.analysis.distill.settings import DistillSettings
from testbudget.rewards.errors import UserError
from testbudget.writers import distill


@pytest.fixture
def data(finished, tmp_path):
    """Training data of a run of five problems, two of them to evaluate on."""
    settings = DistillSettings(eval_share=0.4, near_duplicate=1.0, tests_per_problem=3)
    return distill([finished], settings, out=tmp_path / "data").directory


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_each_kind_and_side_is_written_as_jsonl_and_as_the_same_parquet(data):
    for kind in KINDS:
        for side in SIDES:
            rows = lines(data / f"{kind}.{side}.jsonl")
            assert rows
            assert pq.read_table(data / f"{kind}.{side}.parquet").to_pylist() == rows
            assert all(row["problem"].startswith("times/") for row in rows)


def test_the_card_counts_what_is_there_and_names_filters_sources_and_licences(data):
    card = read_card(data)
    for kind in KINDS:
        for side in SIDES:
            assert card["rows"][kind][side] == len(lines(data / f"{kind}.{side}.jsonl"))
    assert card["split"]["crossing"] == 0
    assert [len(card["problems"][side]) for side in SIDES] == [3, 2]
    page = (data / "README.md").read_text()
    for said in ("passes right candidates", "on both sides: 0 content hashes", "unknown: ask its owner"):
        assert said in page
    front = yaml.safe_load(page.split("---\n")[1])
    assert [config["config_name"] for config in front["configs"]] == list(KINDS)


def test_problems_to_judge_on_are_those_to_evaluate_on_with_both_kinds_of_programs(data):
    judging = read_judging_problems(data)
    assert {one.problem for one in judging} == {row["problem"] for row in lines(data / "tests.eval.jsonl")}
    assert all(len(one.right) == len(one.wrong) == 2 for one in judging)
    row = lines(data / JUDGES_FILE)[0]
    (data / JUDGES_FILE).write_text(json.dumps({"problem": row["problem"]}) + "\n")
    with pytest.raises(UserError, match=r"judges.eval.jsonl:1 must hold comparison, entry_point"):
        read_judging_problems(data)


def test_a_directory_without_a_card_or_with_another_version_is_refused(data, tmp_path):
    with pytest.raises(UserError, match=r"must be a directory by testbudget distill but has no card.json"):
        read_card(tmp_path)
    (data / CARD).write_text(json.dumps({"schema": 0}))
    with pytest.raises(UserError, match="must have version 1 but has 0: make it anew"):
        read_card(data)


def test_the_library_datasets_loads_the_directory_and_its_files_unchanged(data, tmp_path):
    datasets = pytest.importorskip("datasets")
    for kind in KINDS:
        whole = datasets.load_dataset(str(data), kind, cache_dir=str(tmp_path / "cache"))
        assert set(whole) == set(SIDES)
        for side in SIDES:
            assert whole[side].to_list() == lines(data / f"{kind}.{side}.jsonl")
            path = str(data / f"{kind}.{side}.jsonl")
            alone = datasets.load_dataset("json", data_files=path, cache_dir=str(tmp_path / "cache"))
            assert alone["train"].to_list() == whole[side].to_list()


def test_trl_recognises_the_rows_as_conversations_with_answers_and_with_preferences(data):
    trl = pytest.importorskip("trl")
    for kind, answers in (("tests", ["completion"]), ("pairs", ["chosen", "rejected"])):
        (row, *_) = lines(data / f"{kind}.train.jsonl")
        assert trl.is_conversational(row)
        for answer in answers:
            assert [message["role"] for message in [*row["prompt"], *row[answer]]] == ["user", "assistant"]

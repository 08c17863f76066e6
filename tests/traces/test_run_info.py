"""Facts about a run: round trip, resumes, and files that are refused."""

import json
import platform
from datetime import UTC, datetime

import numpy
import pytest

from testbudget.rewards.errors import UserError
from testbudget.traces.run_info import RUN_FILE, RunInfo, read_run_info, write_run_info

FACTS = {
    "models": {"reward_model": {"name": "é", "revision": None, "gpus": 2}},
    "sources": {"problems": "humaneval"},
    "books": {"spent": {"tests": 3, "gpu_seconds": 0.5}, "lost": {}, "reserved": {}},
    "cut_tasks": (3, 4),
}


def test_facts_come_back_as_they_were_written(tmp_path):
    info = RunInfo.of_start(("testbudget", "run", "job.yaml"), **FACTS)
    write_run_info(info, tmp_path)
    assert read_run_info(tmp_path) == info
    assert [path.name for path in tmp_path.iterdir()] == [RUN_FILE]


def test_a_start_notes_versions_host_and_time_and_a_resume_is_added():
    info = RunInfo.of_start(("testbudget",))
    assert info.versions["numpy"] == numpy.__version__
    assert info.versions["python"] == platform.python_version()
    assert info.host["name"] == platform.node()
    assert abs((datetime.now(UTC) - datetime.fromisoformat(info.started)).total_seconds()) < 600
    again = info.resumed().resumed()
    assert (again.started, again.finished, len(again.resumes)) == (info.started, None, 2)


def test_a_run_without_the_file_has_no_facts(tmp_path):
    assert read_run_info(tmp_path) is None


@pytest.mark.parametrize("content", ["", "[]", "{}", "\udcff", '{"schema": 1}'])
def test_a_damaged_file_is_refused_in_one_sentence(tmp_path, content):
    (tmp_path / RUN_FILE).write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(UserError, match="must hold the facts about a run"):
        read_run_info(tmp_path)


def test_an_unknown_fact_or_another_schema_version_is_refused(tmp_path):
    write_run_info(RunInfo.of_start(()), tmp_path)
    content = json.loads((tmp_path / RUN_FILE).read_text())
    (tmp_path / RUN_FILE).write_text(json.dumps(content | {"other": 1}))
    with pytest.raises(UserError, match="must hold the facts about a run"):
        read_run_info(tmp_path)
    (tmp_path / RUN_FILE).write_text(json.dumps(content | {"schema": 99}))
    with pytest.raises(UserError, match="has schema 99"):
        read_run_info(tmp_path)

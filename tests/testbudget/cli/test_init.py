"""``testbudget init``: jobs that run as they are written, from flags and from answers."""

import builtins
import json

import pytest

from testbudget.cli.main import main
from testbudget.scheduler.job_file import load_job


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def answering(monkeypatch, *answers):
    """Have questions answered as on a terminal."""
    left = [*answers]
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr(builtins, "input", lambda _: left.pop(0))


def test_a_first_job_in_an_empty_folder_runs_as_it_is(folder, monkeypatch, capsys):
    answering(monkeypatch, "", "", "")
    assert main(["init"]) == 0
    assert capsys.readouterr().out.endswith("job.yaml is ready: testbudget run job.yaml\n")
    assert main(["run", "job.yaml", "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    picks = [json.loads(line) for line in (folder / "runs/job/picks.jsonl").read_text().splitlines()]
    assert figures["tests"]["usable"] == 4
    assert [pick["candidate"] for pick in picks] == [0, 3 - 2]


def test_flags_take_the_place_of_questions_and_comments_stay(folder):
    words = ["--programs", "served", "--model", "m", "--base-url", "http://localhost:1/v1"]
    assert main(["init", "served.yaml", *words, "--problems", "humaneval", "--api-key-env", "KEY"]) == 0
    job = load_job(folder / "served.yaml")
    assert (job.tests.model.name, job.tests.model.template, job.candidates.count) == ("m", "coderm", 16)
    assert job.candidates.model.api_key_env == "KEY"
    assert job.cap.tests == 8 * 164
    assert "# 8 per problem" in (folder / "served.yaml").read_text()
    assert main(["init", "gpus.yaml", "--programs", "cluster", "--problems", "humaneval"]) == 0
    job = load_job(folder / "gpus.yaml")
    assert (job.backend, job.cluster.address, job.tests.model.name) == ("ray", "auto", "KAKA22/CodeRM-8B")


def test_the_questions_for_a_server_and_for_gpus_are_three(folder, monkeypatch):
    answering(monkeypatch, "humaneval", "served", "https://api.example.org/v1 org/model:7b")
    assert main(["init", "served.yaml"]) == 0
    assert load_job(folder / "served.yaml").tests.model.name == "org/model:7b"
    answering(monkeypatch, "humaneval", "cluster", "one two")
    assert main(["init", "gpus.yaml"]) == 0
    job = load_job(folder / "gpus.yaml")
    assert (job.candidates.model.name, job.tests.model.name) == ("one", "two")


def test_what_cannot_run_is_not_written(folder, monkeypatch, capsys):
    def refused(*words):
        assert main(["init", *words]) == 2
        return capsys.readouterr().err

    assert "needs --programs own, served or cluster where nobody" in refused()
    (folder / "problems.jsonl").write_text('{"id": "a", "prompt": "p", "entry_point": "f"}\n')
    assert "candidates must be a file of rows but there is no candidates.jsonl" in refused(
        "--programs", "own"
    )
    assert "base_url" in refused("--programs", "served", "--base-url", "nowhere")
    (folder / "problems.jsonl").write_text("{}\n")
    assert "problems.jsonl:1" in refused("--programs", "served")
    answering(monkeypatch, "humaneval", "mine")
    assert "must be one of own, served, cluster but got 'mine'" in refused()
    assert [path.name for path in folder.iterdir()] == ["problems.jsonl"]
    (folder / "job.yaml").write_text("")
    assert "job.yaml exists. Choose another name." in refused("--programs", "served")

"""``testbudget run``: mistakes end in one sentence and exit code 2, with nothing left behind."""

import json

import pytest
import yaml

from testbudget.cli.main import main


def failure(capsys, *arguments) -> str:
    assert main([str(argument) for argument in arguments]) == 2
    message = capsys.readouterr().err
    assert message.startswith("testbudget: ")
    assert message.count("\n") == 1
    return message


def write(path, content):
    path.write_text(yaml.safe_dump(content))
    return path


def test_run_needs_a_job_or_a_run(capsys):
    assert "needs a job file" in failure(capsys, "run")


def test_a_missing_job_file(capsys, tmp_path):
    assert "there is no such file" in failure(capsys, "run", tmp_path / "none.yaml")


def test_an_output_directory_that_exists_is_kept(capsys, recorded, tmp_path):
    path = recorded.write_job(tmp_path / "job.yaml")
    (tmp_path / "out").mkdir()
    assert "--resume" in failure(capsys, "run", path, "--out", tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_resuming_what_was_never_started(capsys, tmp_path):
    assert "must be a run that was started" in failure(capsys, "run", "--resume", tmp_path)


def test_resuming_a_job_file_says_how_it_is_started(capsys, recorded, tmp_path):
    path = recorded.write_job(tmp_path / "job.yaml")
    told = failure(capsys, "run", "--resume", path)
    assert f"it is a file: testbudget run {path} starts a job" in told


def test_a_url_of_an_unknown_scheme_is_no_folder(capsys, recorded, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = recorded.write_job(tmp_path / "job.yaml")
    told = failure(capsys, "run", path, "--out", "s4://bucket/run")
    assert "must be a path or a URL of s3, gs" in told
    assert "did you mean s3?" in told
    assert [*tmp_path.iterdir()] == [path]


def test_resume_takes_no_other_flags(capsys, recorded, tmp_path):
    assert "as it was started" in failure(capsys, "run", "--resume", tmp_path, "--seed", "5")


def test_flags_mirror_the_fields_of_the_job(recorded, tmp_path, capsys):
    path = recorded.write_job(tmp_path / "job.yaml")
    out = tmp_path / "out"
    assert main(["run", str(path), "--out", str(out), "--cap.tests", "7", "--problems.limit", "2"]) == 0
    job = yaml.safe_load((out / "job.yaml").read_text())
    assert (job["cap"]["tests"], job["problems"]["limit"]) == (7, 2)
    assert len((out / "picks.jsonl").read_text().splitlines()) == 2
    capsys.readouterr()
    assert "--cap.tests must be at least 1 but got -1" in failure(capsys, "run", path, "--cap.tests", "-1")


def test_a_cap_below_the_minimum_of_all_problems(capsys, recorded, tmp_path):
    path = recorded.write_job(tmp_path / "job.yaml", policy={"min_tests": 3}, cap={"tests": 14})
    message = failure(capsys, "run", path, "--out", tmp_path / "out")
    assert "at least policy.min_tests per problem (3 x 5 problems = 15) but got 14" in message
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        (
            [{"problem": "times/2", "code": "x"}],
            "every problem must have candidates but problem times/3 has none",
        ),
        (["not json"], "own.jsonl:1 must be a JSON object but"),
        ([{"problem": "times/2"}], "own.jsonl:1 code is required"),
        ([], "must hold candidates of the problems but it is empty"),
    ],
)
def test_a_bad_file_of_candidates_leaves_nothing_behind(capsys, recorded, tmp_path, lines, sentence):
    text = "".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines)
    (tmp_path / "own.jsonl").write_text(text)
    path = recorded.write_job(tmp_path / "job.yaml", candidates={"from_file": "own.jsonl"}, backend="ray")
    assert sentence in failure(capsys, "run", path, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_run_of_other_problems(capsys, recorded, tmp_path):
    other = {"id": "times/2", "prompt": "def other():\n", "entry_point": "other"}
    (tmp_path / "other.jsonl").write_text(json.dumps(other) + "\n")
    path = recorded.write_job(tmp_path / "job.yaml", problems={"source": "other.jsonl"})
    assert "same text of problem times/2" in failure(capsys, "run", path, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.cluster
def test_a_model_folder_that_is_missing(capsys, recorded, tmp_path):
    model = {"name": str(tmp_path / "no-such-model"), "template": "coderm", "gpus": 0}
    path = recorded.write_job(tmp_path / "job.yaml", tests={"model": model}, backend="ray")
    assert "no-such-model" in failure(capsys, "run", path, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.cluster
def test_gpus_that_are_not_there(capsys, recorded, tmp_path):
    model = {"name": "some/model", "template": "coderm", "gpus": 64}
    path = recorded.write_job(tmp_path / "job.yaml", tests={"model": model}, backend="ray")
    assert "64 GPUs" in failure(capsys, "run", path, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.cluster
def test_cores_that_are_not_there(capsys, recorded, tmp_path):
    path = recorded.write_job(
        tmp_path / "job.yaml", backend="ray", cluster={"num_cpus": 1}, execution={"runners": 2}
    )
    assert "cluster.num_cpus must be at least 2" in failure(capsys, "run", path, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_json_is_one_document_with_the_figures_of_the_run(recorded, tmp_path, capsys):
    path = recorded.write_job(tmp_path / "job.yaml")
    out = tmp_path / "out"
    assert main(["run", str(path), "--out", str(out), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["directory"] == str(out)
    assert document["spent"]["tests"] == 12
    assert len(document["problems"]) == len(recorded.problems)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"cap": {"test": 5}}, "cap.test is not a known field: did you mean cap.tests?"),
        ({"selection": "majorty"}, "but got 'majorty': did you mean majority?"),
        ({"policy": {"name": "greddy"}}, "policy.name must be one of uniform, proportional, greedy"),
    ],
)
def test_a_wrong_field_or_value_in_a_job_file_gets_a_suggestion(
    capsys, recorded, tmp_path, fields, sentence
):
    path = recorded.write_job(tmp_path / "job.yaml", **fields)
    assert sentence in failure(capsys, "run", path, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("begun", [True, False])
def test_an_interrupt_says_how_to_go_on(capsys, recorded, tmp_path, monkeypatch, begun):
    def interrupted(*_arguments, **_words):
        if begun:
            (tmp_path / "out").mkdir()
            (tmp_path / "out" / "log.sqlite").touch()
        raise KeyboardInterrupt

    monkeypatch.setattr("testbudget.scheduler.run.start_run", interrupted)
    path = recorded.write_job(tmp_path / "job.yaml")
    assert main(["run", str(path), "--out", str(tmp_path / "out")]) == 130
    goes_on = f"nothing is lost: continue with testbudget run --resume {tmp_path / 'out'}"
    said = goes_on if begun else "interrupted before the run began; nothing is left"
    assert said in capsys.readouterr().err


def test_a_run_ends_with_the_figures_that_matter_and_its_files(capsys, recorded, tmp_path):
    path = recorded.write_job(tmp_path / "job.yaml")
    assert main(["run", str(path), "--out", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith(f"run directory: {tmp_path / 'out'}\nloading\n")
    end = printed.partition("accuracy of the picks")[2].splitlines()
    assert len(end) <= 12
    for words in ("  without tests", "estimated without labels", "12 (2.4 per problem)", "12 of 12 tests"):
        assert any(words in line for line in end)
    assert end[-1] == f"report                    {tmp_path / 'out' / 'report.html'}"

"""Job files: reading, checking, overriding and saving."""

import pytest
import yaml

from testbudget.executors.execution.package_choice import PackageChoice
from testbudget.rewards.errors import UserError
from testbudget.scheduler.job_file import check_job, load_job, save_job

MINIMAL = {
    "problems": {"source": "humaneval"},
    "candidates": {"from_run": "trace"},
    "tests": {"from_run": "trace"},
    "cap": {"tests": 100},
}


def test_paths_are_relative_to_the_job_file_and_survive_saving(tmp_path):
    path = tmp_path / "job.yaml"
    path.write_text(yaml.safe_dump(MINIMAL | {"problems": {"source": "mbpp:own.jsonl"}}))
    job = load_job(path)
    assert job.candidates.from_run == tmp_path / "trace"
    assert job.problems.source == f"mbpp:{tmp_path}/own.jsonl"
    (tmp_path / "elsewhere").mkdir()
    save_job(job, tmp_path / "elsewhere" / "job.yaml")
    assert load_job(tmp_path / "elsewhere" / "job.yaml") == job


def test_the_adapter_of_a_model_is_relative_to_the_job_file_and_for_vllm_alone(tmp_path):
    path = tmp_path / "job.yaml"
    model = {"name": "m", "template": "coderm", "lora": "writer/adapter", "gpus": 0}
    path.write_text(yaml.safe_dump(MINIMAL | {"tests": {"model": model}}))
    assert load_job(path).tests.model.lora == tmp_path / "writer" / "adapter"
    save_job(load_job(path), tmp_path / "saved.yaml")
    assert load_job(tmp_path / "saved.yaml") == load_job(path)
    served = model | {"base_url": "http://localhost:1/v1"}
    with pytest.raises(UserError, match="lora needs generator vllm, which loads it, but got openai"):
        check_job(MINIMAL | {"tests": {"model": served}}, tmp_path)


def test_overrides_take_the_place_of_the_file(tmp_path):
    path = tmp_path / "job.yaml"
    path.write_text(yaml.safe_dump(MINIMAL))
    job = load_job(path, {"cap.tests": 7, "policy.min_tests": 2, "cluster.num_cpus": 3})
    assert (job.cap.tests, job.policy.min_tests, job.cluster.num_cpus) == (7, 2, 3)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"cap: [unclosed", ":1 must be YAML but expected ',' or ']'"),
        (b"cap:\n  tests: 1\n bad: 2\n", ":3 must be YAML but"),
        (b"- a list", "must hold the fields of a job but got list"),
        (b"", "must hold the fields of a job but it is empty"),
        (b"\xff\xfe\x00", "cannot be read"),
    ],
)
def test_a_file_that_is_no_job_gets_one_sentence(tmp_path, content, message):
    path = tmp_path / "job.yaml"
    path.write_bytes(content)
    with pytest.raises(UserError, match=message) as caught:
        load_job(path)
    assert "\n" not in str(caught.value)


def test_a_missing_file_gets_one_sentence(tmp_path):
    with pytest.raises(UserError, match="there is no such file"):
        load_job(tmp_path / "job.yaml")


def test_fields_of_a_mapping_are_checked_like_those_of_a_file(tmp_path):
    job = check_job(MINIMAL, tmp_path, {"cap.tests": 7})
    assert job.cap.limits == {"tests": 7}
    assert job.tests.from_run == tmp_path / "trace"
    with pytest.raises(UserError, match=r"job: cap\.tests must be"):
        check_job(MINIMAL, tmp_path, {"cap.tests": "many"})
    assert MINIMAL["cap"] == {"tests": 100}


def test_paths_of_runs_to_fit_confidence_on_are_relative_to_the_job(recorded, tmp_path):
    path = recorded.write_job(tmp_path / "job.yaml", confidence={"fit_from": ["earlier"]})
    assert load_job(path).confidence.fit_from == [tmp_path / "earlier"]


def test_the_interpreter_of_packages_is_relative_to_the_job_and_stays_a_link(recorded, tmp_path):
    (tmp_path / "python").symlink_to("/usr/bin/python3")
    path = recorded.write_job(tmp_path / "job.yaml")
    job = load_job(path, {"execution.python": "python", "execution.packages": ["numpy"]})
    assert job.execution.package_choice == PackageChoice(("numpy",), str(tmp_path / "python"))
    assert job.execution.package_choice == load_saved(job, tmp_path).execution.package_choice


def load_saved(job, tmp_path):
    (tmp_path / "saved").mkdir()
    save_job(job, tmp_path / "saved" / "job.yaml")
    return load_job(tmp_path / "saved" / "job.yaml")


def test_ids_of_problems_may_be_whole_numbers_as_they_are_in_rows(tmp_path):
    fields = MINIMAL | {"problems": {"source": "p.jsonl", "ids": [7, "b"]}}
    assert check_job(fields, tmp_path).problems.ids == ["7", "b"]
    with pytest.raises(UserError, match=r"problems.ids.0 must be text but got true"):
        check_job(MINIMAL | {"problems": {"source": "p.jsonl", "ids": [True]}}, tmp_path)


MANY = """\
problems:
  sorce: humaneval
candidates: &model
  count: 0
  model: {name: m, template: chat, gpu: 1}
tests:
  model:
    <<: {name: x, template: coderm}
    temperature: hot
cap: {tests: 100, tests: 200}
selection: majorty
"""


def test_all_mistakes_are_told_at_once_with_their_lines(tmp_path):
    path = tmp_path / "job.yaml"
    path.write_text(MANY)
    with pytest.raises(UserError) as caught:
        load_job(path, {"seed": -1})
    head, *told = str(caught.value).split("\n")
    assert head == f"{path} has 8 mistakes:"
    assert [line.removeprefix(str(path)).partition(" ")[0] for line in told] == [
        ":", ":1", ":2", ":4", ":5", ":9", ":10", ":11",
    ]  # fmt: skip
    assert "seed must be at least 0 but got -1" in told[0]
    assert told[1].endswith("problems.source is required but it is missing")
    assert told[4].endswith(
        "candidates.model.gpu is not a known field: did you mean candidates.model.gpus?"
    )
    assert told[6].endswith("cap.tests stands in line 10 too")


def test_a_field_that_stands_twice_is_told_although_all_else_is_right(tmp_path):
    path = tmp_path / "job.yaml"
    path.write_text("seed: 1\n" + yaml.safe_dump(MINIMAL) + "seed: 2\n")
    with pytest.raises(UserError, match=r"seed stands in line 1 too"):
        load_job(path)


def test_all_that_a_job_names_and_that_is_not_there_is_told_at_once(tmp_path, monkeypatch):
    monkeypatch.delenv("NO_KEY", raising=False)
    path = tmp_path / "job.yaml"
    path.write_text(
        "problems: {source: none.jsonl}\n"
        "candidates: {from_run: .}\n"
        "tests:\n"
        "  model:\n"
        "    {name: m, base_url: 'http://localhost:1', template: mine.yaml, api_key_env: NO_KEY}\n"
        "cap: {tests: 1}\n"
    )
    load_job(path)
    with pytest.raises(UserError) as caught:
        load_job(path, with_places=True)
    assert [line.partition(f"{path}:")[2] for line in str(caught.value).split("\n")[1:]] == [
        f"1 problems.source names {tmp_path / 'none.jsonl'}, which does not exist",
        f"2 candidates.from_run names {tmp_path}, which is no finished run",
        "5 tests.model.api_key_env names the variable NO_KEY, which is not set",
        "5 tests.model.template names mine.yaml, which does not exist",
    ]


def test_a_section_that_holds_no_fields_is_told_what_it_holds(tmp_path):
    with pytest.raises(
        UserError, match="job: cap must hold fields, such as tests, tokens, executions, but"
    ):
        check_job(MINIMAL | {"cap": 5}, tmp_path)


def test_a_template_that_is_none_is_told_with_the_closest_one(tmp_path):
    path = tmp_path / "job.yaml"
    model = {"name": "m", "base_url": "http://localhost:1", "template": "codrm"}
    path.write_text(yaml.safe_dump(MINIMAL | {"tests": {"model": model}}))
    with pytest.raises(UserError, match=r"tests\.model\.template must be one of .*: did you mean coderm\?"):
        load_job(path, with_places=True)


@pytest.mark.parametrize(
    ("source", "likely"),
    [("mbbp:rows.jsonl", "mbpp:rows.jsonl"), ("HumanEvl", "humaneval"), ("rows.jsonl", None)],
)
def test_a_source_that_resembles_a_preset_gets_a_suggestion(tmp_path, source, likely):
    path = tmp_path / "job.yaml"
    path.write_text(yaml.safe_dump(MINIMAL | {"problems": {"source": source}}))
    with pytest.raises(UserError, match=r"problems\.source names") as caught:
        load_job(path, with_places=True)
    told = str(caught.value)
    assert (f"did you mean {likely}?" in told) if likely else "did you mean" not in told

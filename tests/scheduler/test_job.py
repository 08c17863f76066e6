"""Jobs: rules of their fields, and values that follow from them."""

import pytest
import yaml

from testbudget.executors.execution.limits import TestLimits
from testbudget.rewards.errors import UserError
from testbudget.scheduler.job_file import load_job, save_job
from testbudget.scheduler.sections.cap import CapSection, PricesSection
from testbudget.traces.records import QUANTITIES

MINIMAL = {
    "problems": {"source": "humaneval"},
    "candidates": {"from_run": "trace"},
    "tests": {"from_run": "trace"},
    "cap": {"tests": 100},
}


def refusal(tmp_path, **fields) -> str:
    path = tmp_path / "job.yaml"
    path.write_text(yaml.safe_dump(MINIMAL | fields))
    with pytest.raises(UserError) as caught:
        load_job(path)
    message = str(caught.value)
    assert "\n" not in message
    return message.removeprefix(f"{path}: ")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"cap": {}}, "cap needs at least one of tests, tokens"),
        ({"cap": {"tests": 0}}, "cap.tests must be greater than or equal to 1 but got 0"),
        ({"cap": {"tests": "many"}}, "cap.tests must be a valid integer"),
        ({"cap": {"usd": 5}}, "cap usd needs prices but there are none"),
        ({"cap": {"minutes": 5}}, "cap.minutes is not a known field"),
        ({"cap": {"token": 5}}, "cap.token is not a known field: did you mean cap.tokens?"),
        ({"candidate": {}}, "candidate is not a known field: did you mean candidates?"),
        ({"problems": {}}, "problems.source is required but it is missing"),
        ({"candidates": {}}, "candidates needs exactly one of from_run, from_file and model but got none"),
        (
            {"candidates": {"from_run": "a", "from_file": "b"}},
            "candidates needs exactly one of from_run, from_file and model but got from_run and from_file",
        ),
        ({"candidates": {"model": {"name": "m", "template": "chat"}}}, "candidates needs count"),
        ({"tests": {}}, "tests needs exactly one of from_run and model but got none"),
        (
            {"policy": {"name": "best"}},
            "policy.name must be one of uniform, proportional, greedy, binned, adaptive but got 'best'",
        ),
        (
            {"policy": {"name": "oracle-curves"}},
            "proportional, greedy, binned, adaptive but got 'oracle-curves'",
        ),
        ({"policy": {"name": "adaptive"}}, "policy name adaptive needs gain_model_from, a finished run"),
        (
            {"policy": {"name": "binned", "gain_model_from": "a"}},
            "policy.name binned needs a predictor but there is none",
        ),
        (
            {"policy": {"min_tests": 3, "max_tests": 2}},
            "policy max_tests must be at least min_tests (3) but got 2",
        ),
        (
            {"policy": {"window": 2, "quantum": 3}},
            "policy window must be at least quantum (3) but got 2",
        ),
        ({"policy": {"name": "greedy"}}, "policy.name greedy needs a predictor"),
        ({"predictor": {"fit_from": ["a"]}}, "predictor needs hidden_states"),
        (
            {"hidden_states": {"base_model": "m", "gpus": 2}},
            "or a whole number with engine vllm, but got 2 with engine transformers",
        ),
        (
            {"hidden_states": {"base_model": "m", "gpus": 1.5, "engine": "vllm"}},
            "but got 1.5 with engine vllm",
        ),
        ({"selection": "oracle"}, "selection must be one of majority"),
        (
            {"backend": "recorded", "tests": {"from_run": "other"}},
            "backend recorded needs candidates.from_run and tests.from_run",
        ),
        (
            {"execution": {"trust": "blind"}},
            "execution.trust must be 'hostile' or 'honest' but got 'blind'",
        ),
        ({"backend": "slurm"}, "backend must be one of ray, in_process, recorded but got 'slurm'"),
    ],
)
def test_a_bad_field_gets_one_sentence(tmp_path, fields, message):
    assert message in refusal(tmp_path, **fields)


def test_the_limits_of_a_sandbox_are_those_of_the_job(tmp_path):
    path = tmp_path / "job.yaml"
    path.write_text(yaml.safe_dump(MINIMAL))
    assert load_job(path).execution.limits == TestLimits()
    given = {"execution.max_threads": 4, "execution.file_mib": 1, "execution.max_timeouts": 9}
    assert load_job(path, given).execution.limits == TestLimits(max_threads=4, file_mib=1, max_timeouts=9)


@pytest.mark.parametrize(
    ("tests", "elimination", "eliminates"),
    [
        ({"model": {"name": "m", "template": "coderm"}}, {}, True),
        ({"model": {"name": "m", "template": "coderm"}}, {"apply_to": "none"}, False),
        ({"from_run": "trace"}, {}, False),
        ({"from_run": "trace"}, {"apply_to": "all"}, True),
    ],
)
def test_candidates_are_eliminated_on_generated_tests_and_on_recorded_ones_if_asked_for(
    tmp_path, tests, elimination, eliminates
):
    path = tmp_path / "job.yaml"
    path.write_text(yaml.safe_dump(MINIMAL | {"tests": tests, "elimination": elimination}))
    job = load_job(path)
    assert job.eliminates == eliminates
    save_job(job, tmp_path / "saved.yaml")
    assert load_job(tmp_path / "saved.yaml").eliminates == eliminates


GPU_MODEL = {"model": {"name": "m", "template": "coderm"}}
CPU_MODEL = {"model": {"name": "m", "template": "coderm", "gpus": 0}}


@pytest.mark.parametrize(
    ("fields", "backend"),
    [
        ({}, "in_process"),
        ({"tests": CPU_MODEL}, "in_process"),
        ({"hidden_states": {"base_model": "m"}}, "in_process"),
        ({"hidden_states": {"from_run": "trace", "gpus": 1}}, "in_process"),
        ({"tests": GPU_MODEL}, "ray"),
        ({"candidates": {**GPU_MODEL, "count": 2}}, "ray"),
        ({"hidden_states": {"base_model": "m", "gpus": 1}}, "ray"),
        ({"cluster": {"num_cpus": 4}}, "ray"),
        ({"tests": GPU_MODEL, "backend": "in_process"}, "in_process"),
    ],
)
def test_a_job_runs_on_ray_if_it_asks_for_gpus_or_a_cluster(tmp_path, fields, backend):
    path = tmp_path / "job.yaml"
    path.write_text(yaml.safe_dump(MINIMAL | fields))
    assert load_job(path).backend == backend


def test_an_engine_over_several_gpus_must_hold_them(tmp_path):
    model = {"name": "m", "template": "coderm", "engine": {"tensor_parallel_size": 4}}
    message = refusal(tmp_path, tests={"model": model})
    assert "gpus must equal engine.tensor_parallel_size (4) but got 1" in message


def test_quantities_of_the_cap_are_those_of_a_cost():
    assert tuple(PricesSection.model_fields) == QUANTITIES
    assert {*QUANTITIES, "usd", "prices"} == CapSection.model_fields.keys()

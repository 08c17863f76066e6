"""Jobs: rules of their fields, and values that follow from them."""

import re

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
    return re.sub(r"^(:\d+|:) ", "", message.removeprefix(str(path)))


def load(tmp_path, **fields):
    path = tmp_path / "job.yaml"
    path.write_text(yaml.safe_dump(MINIMAL | fields))
    return load_job(path)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"cap": {}}, "cap needs at least one of tests, tokens"),
        ({"cap": {"tests": 0}}, "cap.tests must be at least 1 but got 0"),
        ({"cap": {"tests": "many"}}, "cap.tests must be a whole number"),
        ({"cap": {"tests": True}}, "cap.tests must be a number but got true"),
        ({"cap": {"gpu_seconds": False}}, "cap.gpu_seconds must be a number but got false"),
        ({"cap": {"usd": 5}}, "cap.usd needs prices but there are none"),
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
        ({"tests": {}}, "tests needs exactly one of from_run, from_file and model but got none"),
        (
            {"policy": {"name": "best"}},
            "policy.name must be one of uniform, proportional, greedy, binned, adaptive but got 'best'",
        ),
        (
            {"policy": {"name": "oracle-curves"}},
            "proportional, greedy, binned, adaptive but got 'oracle-curves'",
        ),
        ({"policy": {"name": "binned"}}, "policy.name binned needs gain_model_from, a finished run"),
        (
            {"policy": {"name": "binned", "gain_model_from": "a"}},
            "policy.name binned needs a predictor but there is none",
        ),
        (
            {"policy": {"min_tests": 3, "max_tests": 2}},
            "policy.max_tests must be at least min_tests (3) but got 2",
        ),
        (
            {"policy": {"window": 2, "quantum": 3}},
            "policy.window must be at least quantum (3) but got 2",
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
            "execution.trust must be one of hostile, honest but got 'blind'",
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


SERVED = {"name": "m", "base_url": "http://localhost:1/v1", "template": "coderm"}
PRICE = {"prompt_tokens": 0.5, "completion_tokens": 2}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"base_url": "localhost:8000"}, "tests.model.base_url must be the address of a server"),
        ({"base_url": "http://me:pw@host/v1"}, "tests.model.base_url must hold no user, password or query"),
        (
            {"base_url": "http://host/v1?key=pw"},
            "tests.model.base_url must hold no user, password or query",
        ),
        (
            {"api_key_env": "sk-pw-0123"},
            "tests.model.api_key_env must be the name of an environment variable",
        ),
        (
            {"api_key": "pw"},
            "tests.model.api_key is not a known field: did you mean tests.model.api_key_env?",
        ),
        (
            {"gpus": 1},
            "tests.model.base_url names a server, so generator must not be vllm and gpus must be 0",
        ),
        ({"generator": "vllm"}, "tests.model.base_url names a server, so generator must not be vllm"),
        ({"base_url": None, "api_key_env": "KEY"}, "tests.model.api_key_env needs base_url"),
        ({"base_url": None, "generator": "openai"}, "tests.model.generator openai needs base_url"),
    ],
)
def test_a_served_model_s_mistakes_are_sentences_without_its_secrets(tmp_path, fields, message):
    said = refusal(tmp_path, tests={"model": SERVED | fields})
    assert said.startswith(message)
    assert "pw" not in said


@pytest.mark.parametrize(
    ("cap", "message"),
    [
        ({"prices": {"tests": 1}}, "cap.usd needs the price of tests.model.name m, a model with base_url"),
        (
            {"prices": {"models": {"n": PRICE}}},
            "cap.prices.models prices n, which is no model with base_url",
        ),
        (
            {"prices": {"models": {"m": {"prompt_tokens": 1}}}},
            "cap.prices.models.m.completion_tokens is req",
        ),
        ({"prices": {"tokens": 1, "models": {"m": PRICE}}}, "cap.prices must not state tokens beside"),
    ],
)
def test_a_served_model_needs_a_price_under_a_cap_in_dollars(tmp_path, cap, message):
    assert refusal(tmp_path, tests={"model": SERVED}, cap={"usd": 1, **cap}).startswith(message)


def test_candidates_of_a_served_model_need_a_price_too_and_are_outside_the_cap(tmp_path):
    sections = {"candidates": {"model": SERVED, "count": 2}, "tests": {"from_run": "run"}}
    cap = {"usd": 1, "prices": {"tests": 0.1}}
    assert "needs the price of candidates.model.name m" in refusal(tmp_path, **sections, cap=cap)
    cap["prices"]["models"] = {"m": PRICE}
    assert "prompt_tokens" not in load(tmp_path, **sections, cap=cap).unit_prices


def test_prices_of_a_served_model_are_by_the_million(tmp_path):
    cap = {"usd": 1, "prices": {"executions": 0.1, "models": {"m": PRICE}}}
    prices = load(tmp_path, tests={"model": SERVED}, cap=cap).unit_prices
    assert {name: price for name, price in prices.items() if price} == {
        "executions": 0.1,
        "prompt_tokens": 0.5e-6,
        "tokens": 2e-6,
    }


def test_a_served_model_needs_no_gpu_and_no_cluster_and_shares_its_rate_among_clients(tmp_path):
    job = load(tmp_path, tests={"model": SERVED | {"actors": 2, "requests_per_minute": 60}})
    assert job.backend == "in_process"
    assert (job.tests.model.generator, job.tests.model.gpus, job.tests.model.in_flight) == ("openai", 0, 32)
    assert job.tests.model.server.requests_per_minute == 30
    assert job.tests.model.server.tokens_per_minute is None


def test_quantities_of_the_cap_are_those_of_a_cost():
    assert tuple(PricesSection.model_fields) == (*QUANTITIES, "models")
    assert {*QUANTITIES, "usd", "prices"} == CapSection.model_fields.keys()

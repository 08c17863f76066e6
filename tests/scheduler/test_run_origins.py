"""Origins of what a run uses."""

from testbudget.scheduler.job import Job
from testbudget.scheduler.run_origins import models_of, sources_of


def test_files_and_models_are_named_by_the_part_that_they_have():
    served = {"name": "m", "base_url": "http://host/v1", "api_key_env": "THE_KEY", "template": "coderm"}
    content = {
        "problems": {"source": "problems.jsonl"},
        "candidates": {"from_file": "candidates.jsonl"},
        "tests": {"model": served},
        "cap": {"tests": 1},
    }
    assert sources_of(Job.model_validate(content)) == {
        "problems.source": "problems.jsonl",
        "candidates.from_file": "candidates.jsonl",
    }
    assert models_of(Job.model_validate(content)) == {
        "reward_model": {"name": "m", "generator": "openai", "base_url": "http://host/v1"}
    }
    content["tests"] = {"from_file": "tests.jsonl"}
    assert sources_of(Job.model_validate(content))["tests.from_file"] == "tests.jsonl"
    assert models_of(Job.model_validate(content)) == {}

import subprocess
import sys

import pytest

from testbudget.executors.generation.base import GeneratorSettings
from testbudget.executors.generation.registry import (
    GENERATORS,
    create_generator,
    generator_class,
)
from testbudget.executors.generation.vllm import VllmGenerator
from testbudget.rewards.errors import UserError

ECHO = """
from testbudget.executors.generation.base import Completion, Generator

class Echo(Generator):
    async def generate(self, request, sampling):
        return Completion(request.prompt.text, 1, 0.0, "stop")
"""


def test_a_built_in_is_created_from_the_fields_of_a_job():
    generator = create_generator("vllm", GeneratorSettings("m", gpus=2, engine={"max_model_len": 7}))
    assert isinstance(generator, VllmGenerator)
    assert [*GENERATORS] == ["vllm", "openai"]


def test_a_generator_of_another_distribution_is_found_by_its_name(install_plugin):
    install_plugin("acme", {"testbudget.generators": {"echo": "acme_echo:Echo"}}, {"acme_echo.py": ECHO})
    assert type(create_generator("echo", GeneratorSettings("m"))).__name__ == "Echo"
    with pytest.raises(UserError, match="Echo knows no engine argument color, size"):
        create_generator("echo", GeneratorSettings("m", engine={"size": 1, "color": 2}))
    with pytest.raises(UserError, match="generator must be one of vllm, openai, echo but got 'eco'"):
        generator_class("eco")


def test_names_are_known_without_the_generators():
    code = "import sys, testbudget.executors.generation.registry; print(*sys.modules)"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = ended.stdout.split()
    assert not {"numpy", "openai", "pydantic", "testbudget.executors.generation.vllm"} & set(loaded)

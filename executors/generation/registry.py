"""Generators by name: vLLM, servers and plug-ins. A generator is imported when it is asked for."""

from importlib import import_module
from typing import Literal, get_args

from testbudget.executors.generation.base import Generator, GeneratorSettings
from testbudget.rewards.plugins import PluginGroup, check_name, plugin

GeneratorName = Literal["vllm", "openai"]
"""Type of the names of built-in generators."""

GENERATORS: tuple[GeneratorName, ...] = get_args(GeneratorName)
"""Names of the built-in generators."""

_CLASSES = {"vllm": ("vllm", "VllmGenerator"), "openai": ("openai", "OpenAIGenerator")}
"""Module of ``executors.generation`` and class of each built-in."""


def generator_class(name: str) -> type[Generator]:
    """Class of a generator.

    Raises:
        UserError: unknown name, or a plug-in that cannot be used.
    """
    check_name("generator", name, PluginGroup.GENERATORS, GENERATORS)
    found: type[Generator]
    if name in _CLASSES:
        module, class_name = _CLASSES[name]
        found = getattr(import_module(f"testbudget.executors.generation.{module}"), class_name)
    else:
        found = plugin(PluginGroup.GENERATORS, name, Generator)
    return found


def create_generator(name: str, settings: GeneratorSettings) -> Generator:
    """A new generator by name, in this process.

    Raises:
        UserError: unknown name, a plug-in that cannot be used, or an unknown setting.
    """
    return generator_class(name).from_settings(settings)

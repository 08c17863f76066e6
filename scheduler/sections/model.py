"""Section of a job file on a language model."""

from typing import Any, Self

from pydantic import Field, model_validator

from testbudget.scheduler.job_names import GeneratorField
from testbudget.scheduler.sections.base import JobSection


class ModelSection(JobSection):
    """Language model, served by vLLM or by the generator of a plug-in."""

    name: str = Field(description="model hub name or local folder")
    generator: GeneratorField = Field("vllm", description="generator that serves the model")
    template: str = Field(description="prompt template: a built-in name or a YAML file")
    temperature: float = Field(0.8, ge=0, description="sampling temperature")
    top_p: float = Field(0.95, gt=0, le=1, description="nucleus sampling threshold")
    max_tokens: int = Field(1024, ge=1, description="maximum length of an answer in tokens")
    actors: int = Field(1, ge=1, description="number of engines to start")
    gpus: float = Field(1, ge=0, description="GPUs per engine; 0 runs vLLM's CPU build")
    cpus: float = Field(1, ge=0, description="CPU cores per engine")
    in_flight: int = Field(256, ge=1, description="maximum number of concurrent requests per engine")
    timeout_seconds: float = Field(600, gt=0, description="time limit of one answer in seconds")
    engine: dict[str, Any] = Field(
        default_factory=dict, description="further arguments of the generator, by vLLM's or its own names"
    )

    @model_validator(mode="after")
    def _gpus_for_all_ranks(self) -> Self:
        ranks = self.engine.get("tensor_parallel_size", 1) if self.generator == "vllm" else 1
        if ranks != 1 and self.gpus not in {0, ranks}:
            raise ValueError(f"gpus must equal engine.tensor_parallel_size ({ranks}) but got {self.gpus:g}")
        return self

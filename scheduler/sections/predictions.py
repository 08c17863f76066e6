"""Sections of a job file on predictions: hidden states and the predictor that reads them."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from testbudget.scheduler.sections.base import JobSection, need_exactly_one


class HiddenStatesSection(JobSection):
    """Source of the hidden states of the prompts: exactly one of from_run and base_model.

    Extractors compute the states of a base model. They are charged in GPU-seconds, or in CPU time if they
    hold no GPU. The fields after ``layers`` configure them.
    """

    from_run: Path | None = Field(
        None, description="finished run whose hidden states are taken, at their cost in that run"
    )
    base_model: str | None = Field(
        None, description="model that they are extracted from: hub name or local folder"
    )
    layers: list[int] | None = Field(
        None,
        description="layers, numbered as in Hugging Face hidden_states (default: all layers of the run; "
        "layers at 1/2, 3/4 and all of the depth of a model)",
    )
    engine: Literal["transformers", "vllm"] = Field(
        "transformers", description="library that computes them"
    )
    dtype: Literal["bfloat16", "float32"] = Field(
        "bfloat16", description="precision of weights and activations"
    )
    actors: int = Field(1, ge=1, description="number of extractors to start, each with the whole model")
    gpus: float = Field(0, ge=0, description="GPUs per extractor; 0 uses CPU cores")
    cpus: float = Field(1, ge=0, description="CPU cores per extractor")
    batch_size: int = Field(
        16,
        ge=1,
        description="prompts per batch; a batch is computed, charged and stored as a whole",
    )
    max_tokens: int = Field(
        4096, ge=1, description="maximum length of a prompt in tokens; longer ones lose their beginning"
    )
    timeout_seconds: float = Field(600, gt=0, description="time limit of one batch in seconds")

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        need_exactly_one(self, "from_run", "base_model")
        if self.gpus > 1 and (self.engine == "transformers" or self.gpus % 1):
            raise ValueError(
                f"gpus must be at most 1, or a whole number with engine vllm, but got {self.gpus:g} "
                f"with engine {self.engine}"
            )
        return self


class PredictorSection(JobSection):
    """Predictor of each problem's pass rate before its first test: exactly one of path and fit_from.

    A problem is predicted by models that were fitted without it.
    """

    path: Path | None = Field(None, description="directory of a model that `testbudget train` has written")
    fit_from: list[Path] | None = Field(
        None, min_length=1, description="finished runs with labels and hidden states to fit a model on"
    )

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        need_exactly_one(self, "path", "fit_from")
        return self

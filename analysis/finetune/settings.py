"""Settings of a training of a test writer: the fields of its YAML file."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from testbudget.rewards.errors import UserError, one_line, validation_sentence


class TrainingSection(BaseModel):
    """Fields of one section, checked and frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class LoraSection(TrainingSection):
    """Adapter that is trained."""

    rank: int = Field(16, ge=1, description="rank of the adapter")
    alpha: float = Field(32, gt=0, description="scale of the adapter, divided by its rank")
    dropout: float = Field(0.05, ge=0, lt=1, description="dropout of the adapter's inputs")
    target_modules: str | tuple[str, ...] = Field(
        "all-linear", description="names of the modules that get an adapter, or all-linear"
    )
    last_layers: int | None = Field(
        None, ge=1, description="number of layers from the last that get an adapter (default: all)"
    )


class QualitySection(TrainingSection):
    """Tests that the model writes at each evaluation, to be executed on known candidates."""

    problems: int = Field(16, ge=0, description="most problems to write tests for; 0 for none")
    tests: int = Field(1, ge=1, description="tests for each problem")
    max_tokens: int = Field(512, ge=1, description="maximum length of an answer in tokens")
    temperature: float = Field(0.8, ge=0, description="sampling temperature")
    top_p: float = Field(0.95, gt=0, le=1, description="nucleus sampling threshold")


class RaySection(TrainingSection):
    """Workers of Ray Train; each trains a copy of the model on its share of each step."""

    workers: int = Field(1, ge=1, description="number of workers")
    gpus: float = Field(1, ge=0, description="GPUs of each worker; 0 trains on CPUs")
    cpus: float = Field(1, gt=0, description="CPU cores of each worker")
    address: str | None = Field(
        None,
        description="address of the cluster (default: an enclosing job's, RAY_ADDRESS', or a local one)",
    )


class FinetuneSettings(TrainingSection):
    """Training of a test writer: the whole YAML file."""

    base_model: str = Field(description="model to tune: hub name or local folder")
    data: Path = Field(description="directory of training data by testbudget distill")
    objective: Literal["sft", "dpo"] = Field(
        "sft", description="sft learns the tests, dpo prefers the better one of each pair"
    )
    max_rows: int | None = Field(
        None, ge=1, description="most rows to train on, taken evenly from all problems (default: all)"
    )
    max_length: int = Field(
        2048,
        ge=8,
        description="longest row in tokens, prompt and answer together; longer ones are left out",
    )
    epochs: float = Field(2, gt=0, description="passes over the rows")
    learning_rate: float = Field(2e-4, gt=0, description="highest learning rate")
    batch_size: int = Field(8, ge=1, description="rows of each step, of all workers together")
    rows_at_once: int = Field(1, ge=1, description="rows that a worker computes at once")
    gradient_checkpointing: bool = Field(
        False, description="compute activations twice, to need less memory"
    )
    eval_steps: int = Field(50, ge=1, description="steps between two evaluations")
    eval_rows: int | None = Field(64, ge=1, description="most rows of the held-out loss (default: 64)")
    save_steps: int = Field(50, ge=1, description="steps between two checkpoints")
    minutes: float | None = Field(
        None, gt=0, description="time after which training ends with a checkpoint (default: none)"
    )
    seed: int = Field(0, ge=0, description="seed of the order of rows, of dropout and of sampling")
    lora: LoraSection = Field(default_factory=LoraSection)
    quality: QualitySection = Field(default_factory=QualitySection)
    ray: RaySection | None = None
    trainer: dict[str, Any] = Field(
        default_factory=dict, description="further fields of TRL's SFTConfig or DPOConfig, by their names"
    )


def load_finetune_settings(path: Path) -> FinetuneSettings:
    """Read and check a YAML file of settings. The paths in it are relative to its folder.

    Raises:
        UserError: the file is missing, is not YAML, or breaks a rule.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise UserError(
            f"{path} must be a file of training settings but cannot be read: {reason}"
        ) from None
    except yaml.YAMLError as error:
        raise UserError(f"{path} must be YAML but {one_line(error)}") from None
    if not isinstance(content, dict):
        raise UserError(f"{path} must hold the fields of a training but got {type(content).__name__}")
    try:
        settings = FinetuneSettings.model_validate(content)
    except ValidationError as error:
        raise UserError(f"{path}: {validation_sentence(error, _fields_of)}") from None
    folder = path.parent
    model = settings.base_model
    if (folder / model).is_dir():
        model = str(folder / model)
    return settings.model_copy(update={"data": folder / settings.data, "base_model": model})


def settings_text(settings: FinetuneSettings) -> str:
    """Settings as YAML, with every default spelled out and absolute paths."""
    fields = settings.model_dump(mode="json")
    fields["data"] = str(settings.data.resolve())
    if Path(settings.base_model).is_dir():
        fields["base_model"] = str(Path(settings.base_model).resolve())
    return yaml.safe_dump(fields, sort_keys=False)


def _fields_of(section: Sequence[str]) -> Iterable[str]:
    """Names of the fields of a section, or of the whole file."""
    sections: dict[str, type[BaseModel]] = {
        "lora": LoraSection,
        "quality": QualitySection,
        "ray": RaySection,
    }
    return (
        sections.get(section[0], FinetuneSettings).model_fields
        if section
        else FinetuneSettings.model_fields
    )

"""Training of a test writer by TRL's trainers: checkpoints, log, and the adapter."""

import json
import logging
import math
import resource
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from testbudget.analysis.distill.files import read_card
from testbudget.analysis.distill.judges import read_judging_problems
from testbudget.analysis.finetune.rows import evenly, fitting_rows, training_rows
from testbudget.analysis.finetune.settings import FinetuneSettings, settings_text
from testbudget.analysis.finetune.written_quality import written_quality
from testbudget.rewards.errors import UserError, one_line
from testbudget.traces.files import write_text

SETTINGS_FILE = "finetune.yaml"
"""Settings of a training in its directory."""

ADAPTER = "adapter"
"""Folder of the trained adapter in the directory of a training."""

RESULT_FILE = "training.json"
"""Figures of a finished training in its directory."""

TRAINING_LOGGER = "testbudget.finetune"
"""Name of the logger; a message for each entry of a training's log, at the level INFO."""

_CHECKPOINTS = "checkpoints"
_LOG = logging.getLogger(TRAINING_LOGGER)


@dataclass(frozen=True, slots=True)
class FinetunedWriter:
    """A fine-tuned writer: the result of a training.

    Attributes:
        directory: its directory; the adapter lies in ``adapter``.
        record: figures as plain JSON, as in ``training.json``.
    """

    directory: Path
    record: Mapping[str, Any]

    @property
    def adapter(self) -> Path:
        """Folder of the adapter, for the field ``lora`` of a job's model."""
        return self.directory / ADAPTER

    def sentences(self) -> list[str]:
        """Figures in words, for the terminal."""
        record = self.record
        tokens = "unknown" if record["tokens"] is None else f"{record['tokens']:,.0f}"
        lines = [
            f"{record['rows']['train']} rows of {record['problems']} problems, {record['epochs']:.2f} "
            f"epochs, {record['steps']} steps, {tokens} tokens",
            f"{record['seconds']:,.0f} s, at most {record['peak_memory_bytes'] / 2**30:.1f} GiB of memory",
        ]
        before, after = record["before"], record["after"]
        for name in after:
            if name.startswith(("eval_loss", "eval_mean_token_accuracy", "eval_rewards", "quality_")):
                start = f"{before[name]:.3f} → " if name in before else ""
                lines.append(f"{name.removeprefix('eval_')}: {start}{after[name]:.3f}")
        if not record["finished"]:
            lines.append(f"the time was over: finetune --resume {self.directory} goes on")
        return [*lines, f"adapter: {self.adapter}"]


def train_writer(settings: FinetuneSettings, out: Path) -> None:
    """Train in this process, from the latest checkpoint if there is one.

    On Ray Train each worker calls this. The first of them writes the log, the adapter and the figures.

    Args:
        settings: what to train, and on what.
        out: directory of the training.

    Raises:
        UserError: the model or a setting of the trainer cannot be used, or no row fits.
    """
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer, PrinterCallback
    from transformers.trainer_utils import get_last_checkpoint

    started = time.monotonic()
    on_gpu = torch.cuda.is_available()
    card = read_card(settings.data)
    tokenizer = AutoTokenizer.from_pretrained(settings.base_model)
    if getattr(tokenizer, "chat_template", None) is None:
        raise UserError(f"{settings.base_model} must have a chat template but has none")
    train = fitting_rows(training_rows(settings, "train"), tokenizer, settings.max_length)
    held_out = fitting_rows(training_rows(settings, "eval"), tokenizer, settings.max_length)
    if not train:
        raise UserError(f"no row has at most {settings.max_length} tokens: raise max_length")
    train, held_out = evenly(train, settings.max_rows), evenly(held_out, settings.eval_rows)
    model = AutoModelForCausalLM.from_pretrained(
        settings.base_model, dtype=torch.bfloat16 if on_gpu else torch.float32
    )
    layers, last = model.config.num_hidden_layers, settings.lora.last_layers
    adapter = LoraConfig(
        task_type="CAUSAL_LM",
        r=settings.lora.rank,
        lora_alpha=settings.lora.alpha,
        lora_dropout=settings.lora.dropout,
        target_modules=_target_modules(settings, model),
        layers_to_transform=list(range(max(0, layers - last), layers)) if last else None,
    )
    kind, config = _trainer_of(settings, out, on_gpu=on_gpu, evaluates=bool(held_out))
    trainer = kind(
        model=model,
        args=config,
        train_dataset=Dataset.from_list(train),
        eval_dataset=Dataset.from_list(held_out) if held_out else None,
        processing_class=tokenizer,
        peft_config=adapter,
        callbacks=_callbacks(settings, tokenizer, started),
    )
    trainer.remove_callback(PrinterCallback)  # it prints to the standard output
    checkpoints = out / _CHECKPOINTS
    resumed = get_last_checkpoint(str(checkpoints)) if checkpoints.is_dir() else None
    first = trainer.evaluate() if held_out and resumed is None else {}
    trainer.train(resume_from_checkpoint=resumed)
    last_figures = trainer.evaluate() if held_out else {}
    trainer.save_model(str(out / ADAPTER))
    if not trainer.is_world_process_zero():
        return
    record = {
        "base_model": settings.base_model,
        "objective": settings.objective,
        "rows": {"train": len(train), "eval": len(held_out)},
        "problems": len({row["content_hash"] for row in train}),
        "trained_on": sorted({row["content_hash"] for row in train}),
        "steps": trainer.state.global_step,
        "epochs": trainer.state.epoch,
        "finished": trainer.state.global_step >= trainer.state.max_steps,
        "resumed": resumed is not None,
        "tokens": _last(trainer.state.log_history, "num_tokens"),
        "seconds": time.monotonic() - started,
        "peak_memory_bytes": _peak_memory(on_gpu=on_gpu),
        "before": _figures(first),
        "after": _figures(last_figures),
        "log": [_figures(entry) for entry in trainer.state.log_history],
        "data": {"runs": [run["run"] for run in card["runs"]], "rows": card["rows"]},
    }
    write_text(json.dumps(record, indent=1) + "\n", out / RESULT_FILE)


def start_directory(settings: FinetuneSettings, out: Path) -> None:
    """Make the directory of a training, with its settings."""
    out.mkdir(parents=True)
    write_text(settings_text(settings), out / SETTINGS_FILE)


def _target_modules(settings: FinetuneSettings, model: Any) -> str | list[str]:
    """Modules that get an adapter; PEFT takes ``all-linear`` for all layers alone."""
    import torch

    targets = settings.lora.target_modules
    if not isinstance(targets, str):
        return list(targets)
    if targets != "all-linear" or settings.lora.last_layers is None:
        return targets
    head = model.get_output_embeddings()
    linear = (
        name
        for name, part in model.named_modules()
        if isinstance(part, torch.nn.Linear) and part is not head
    )
    return sorted({name.rpartition(".")[2] for name in linear})


def _trainer_of(settings: FinetuneSettings, out: Path, *, on_gpu: bool, evaluates: bool) -> tuple[Any, Any]:
    """Class of the trainer, and its configuration."""
    from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer

    workers = settings.ray.workers if settings.ray else 1
    accumulated = max(1, round(settings.batch_size / (settings.rows_at_once * workers)))
    fields: dict[str, Any] = {
        "output_dir": str(out / _CHECKPOINTS),
        "num_train_epochs": settings.epochs,
        "learning_rate": settings.learning_rate,
        "lr_scheduler_type": "cosine",
        "per_device_train_batch_size": settings.rows_at_once,
        "per_device_eval_batch_size": settings.rows_at_once,
        "gradient_accumulation_steps": accumulated,
        "gradient_checkpointing": settings.gradient_checkpointing,
        "max_length": settings.max_length,
        "bf16": on_gpu,
        "use_cpu": not on_gpu,
        "logging_steps": 1,
        "logging_first_step": True,
        "eval_strategy": "steps" if evaluates else "no",
        "eval_steps": settings.eval_steps,
        "save_strategy": "steps",
        "save_steps": settings.save_steps,
        "save_total_limit": 2,
        "report_to": "none",
        "disable_tqdm": True,
        "seed": settings.seed,
        "dataloader_pin_memory": on_gpu,
    }
    kind, config = (SFTTrainer, SFTConfig) if settings.objective == "sft" else (DPOTrainer, DPOConfig)
    try:
        return kind, config(**fields | settings.trainer)
    except (TypeError, ValueError) as error:
        raise UserError(
            f"trainer holds a field that {config.__name__} refuses: {one_line(error)}"
        ) from None


def _callbacks(settings: FinetuneSettings, tokenizer: Any, started: float) -> list[Any]:
    from transformers import TrainerCallback

    judging = read_judging_problems(settings.data)[: settings.quality.problems]

    class HeldOutQuality(TrainerCallback):  # type: ignore[misc]
        """Adds the quality of written tests to each evaluation's entry in the log."""

        def on_evaluate(self, args: Any, state: Any, control: Any, **given: Any) -> None:  # noqa: ARG002
            """Write and execute tests, on the first worker."""
            if judging and state.is_world_process_zero:
                quality = written_quality(
                    given["model"], tokenizer, judging, settings.quality, settings.seed
                )
                figures = quality.figures()
                given.get("metrics", {}).update(figures)
                state.log_history.append({"step": state.global_step, **figures})
                _tell(state, figures)

    class Deadline(TrainerCallback):  # type: ignore[misc]
        """Ends the training with a checkpoint when its time is over."""

        def on_step_end(self, args: Any, state: Any, control: Any, **given: Any) -> Any:  # noqa: ARG002
            """Ask for a checkpoint and for the end."""
            if settings.minutes and time.monotonic() - started > 60 * settings.minutes:
                control.should_save = control.should_training_stop = True
            return control

    class Progress(TrainerCallback):  # type: ignore[misc]
        """Tells each entry of the log."""

        def on_log(self, args: Any, state: Any, control: Any, **given: Any) -> None:  # noqa: ARG002
            """Tell an entry, on the first worker."""
            if state.is_world_process_zero:
                _tell(state, _figures(given.get("logs") or {}))

    return [HeldOutQuality(), Deadline(), Progress()]


def _tell(state: Any, figures: Mapping[str, float]) -> None:
    named = ", ".join(f"{name} {value:.4g}" for name, value in figures.items() if name != "epoch")
    _LOG.info("step %d of %d: %s", state.global_step, state.max_steps, named)


def _figures(entry: Mapping[str, Any]) -> dict[str, float]:
    """Finite numbers of an entry of a log, without those on speed."""
    return {
        name: value
        for name, value in entry.items()
        if isinstance(value, int | float)
        and math.isfinite(value)
        and not name.endswith(("_per_second", "_runtime", "_flos"))
    }


def _last(log: Sequence[Mapping[str, Any]], name: str) -> float | None:
    return next((entry[name] for entry in reversed(log) if name in entry), None)


def _peak_memory(*, on_gpu: bool) -> int:
    """Most memory that was held at once, in bytes: of the GPU, or of this process."""
    import torch

    if on_gpu:
        return int(torch.cuda.max_memory_allocated())
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

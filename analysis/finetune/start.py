"""Start of a training: in this process, or on the workers of Ray Train."""

import json
import shutil
from pathlib import Path

from testbudget.analysis.distill.files import read_card
from testbudget.analysis.finetune.rows import training_rows
from testbudget.analysis.finetune.settings import FinetuneSettings, load_finetune_settings
from testbudget.analysis.finetune.training import (
    RESULT_FILE,
    SETTINGS_FILE,
    FinetunedWriter,
    start_directory,
    train_writer,
)
from testbudget.executors.generation.vllm import check_model
from testbudget.rewards.errors import InfrastructureError, UserError, one_line, require_extra
from testbudget.traces.files import check_place


def start_training(settings: FinetuneSettings, out: Path) -> FinetunedWriter:
    """Train into a new directory.

    Raises:
        UserError: the directory exists, the data or the model cannot be used, or the extra is not
            installed.
        InfrastructureError: a worker of Ray Train failed; the training can be resumed.
    """
    _check_installed(settings)
    if out.exists():
        raise UserError(f"{out} exists. Resume it with --resume {out} or choose another --out.")
    check_place(out, directory=True)
    read_card(settings.data)
    training_rows(settings, "train")
    check_model(settings.base_model)
    start_directory(settings, out)
    try:
        return _trained(settings, out)
    except UserError:  # found with the model at hand, before the first step
        shutil.rmtree(out)
        raise


def resume_training(out: Path) -> FinetunedWriter:
    """Continue a training from its latest checkpoint; a finished one is returned as it is.

    Raises:
        UserError: the directory holds no training.
        InfrastructureError: as for :func:`start_training`.
    """
    if not (out / SETTINGS_FILE).is_file():
        raise UserError(f"{out} must be a training by testbudget finetune but has no {SETTINGS_FILE}")
    settings = load_finetune_settings(out / SETTINGS_FILE)
    _check_installed(settings)
    found = _result(out)
    return found if found and found.record["finished"] else _trained(settings, out)


def _trained(settings: FinetuneSettings, out: Path) -> FinetunedWriter:
    _silence()
    if settings.ray is None:
        train_writer(settings, out)
    else:
        _train_on_ray(settings, out.resolve())
    found = _result(out)
    assert found is not None, "a training that ends without an error writes its figures"
    return found


def _train_on_ray(settings: FinetuneSettings, out: Path) -> None:
    """Train on the workers of Ray Train; the directory must lie where all nodes can write."""
    import ray
    from ray.train import RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer

    workers = settings.ray
    assert workers is not None
    begun = not ray.is_initialized()
    if begun:
        ray.init(address=workers.address, log_to_driver=False)

    def train_loop(given: dict[str, str]) -> None:
        train_writer(settings, Path(given["out"]))

    resources = {"CPU": workers.cpus} | ({"GPU": workers.gpus} if workers.gpus else {})
    try:
        TorchTrainer(
            train_loop,
            train_loop_config={"out": str(out)},
            scaling_config=ScalingConfig(
                num_workers=workers.workers, use_gpu=bool(workers.gpus), resources_per_worker=resources
            ),
            run_config=RunConfig(name="training", storage_path=str(out / "ray")),
        ).fit()
    except Exception as error:  # Ray Train wraps whatever a worker raises
        raise InfrastructureError(
            f"a worker failed, so resume the training with --resume {out}: {one_line(error)[:300]}"
        ) from error
    finally:
        if begun:
            ray.shutdown()


def _check_installed(settings: FinetuneSettings) -> None:
    with require_extra("finetune", "training a test writer"):
        import datasets  # noqa: F401
        import peft  # noqa: F401
        import torch  # noqa: F401
        import transformers  # noqa: F401
        import trl  # noqa: F401
    if settings.ray:
        with require_extra("cluster", "training on several workers"):
            import ray.train  # noqa: F401


def _silence() -> None:
    """No progress bars and no hints of the libraries: the log of a training is its own."""
    import datasets
    from transformers.utils import logging as transformers_logging

    datasets.disable_progress_bars()
    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()


def _result(out: Path) -> FinetunedWriter | None:
    try:
        return FinetunedWriter(out, json.loads((out / RESULT_FILE).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None

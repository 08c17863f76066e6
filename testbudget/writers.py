"""Test writers in the public Python API: training data from finished runs, training, and quality."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from testbudget.analysis.distill.distilled import DistilledData, distil
from testbudget.analysis.distill.files import CARD, distilled_record, read_card, write_distilled
from testbudget.analysis.distill.settings import DistillSettings
from testbudget.analysis.distill.source_run import SourceRun
from testbudget.analysis.finetune.settings import FinetuneSettings, load_finetune_settings
from testbudget.analysis.finetune.start import resume_training, start_training
from testbudget.analysis.finetune.training import RESULT_FILE, FinetunedWriter
from testbudget.analysis.quality.comparison import QualityComparison, compare_quality
from testbudget.analysis.quality.settings import QualitySettings
from testbudget.analysis.view.finished_run import run_names
from testbudget.rewards.errors import UserError
from testbudget.traces.files import check_place
from testbudget.traces.tables import read_trace


@dataclass(frozen=True, slots=True, eq=False)
class SavedData:
    """Training data that have been saved.

    Attributes:
        directory: directory of the data.
        data: rows, split and effects of the filters.
        record: figures as plain JSON, as in ``card.json``.
        files: names of the files.
    """

    directory: Path
    data: DistilledData
    record: Mapping[str, Any]
    files: Sequence[str]


def distill(
    runs: Sequence[str | Path],
    settings: DistillSettings | None = None,
    *,
    out: str | Path,
    held_out: Sequence[str | Path] = (),
    sources: Mapping[Path, str] | None = None,
) -> SavedData:
    """Make training data for a test writer from finished runs, and save them.

    Args:
        runs: finished runs.
        settings: filters, sizes and split (default: ``DistillSettings()``).
        out: directory of the data; must not exist.
        held_out: runs whose problems, and near-duplicates of them, are left out.
        sources: source of a run's problems by its directory (default: as in the run).

    Raises:
        UserError: the directory exists or cannot be made, a run cannot be used, or no test is left.

    Example:
        >>> saved = distill(["runs/humaneval"], out="data/humaneval")  # doctest: +SKIP
    """
    settings, out, places = settings or DistillSettings(), Path(out), [Path(run) for run in runs]
    if out.exists():
        raise UserError(f"{out} exists. Choose another --out.")
    check_place(out, directory=True)
    traces = [read_trace(Path(directory)) for directory in held_out]
    read = [SourceRun(*named) for named in zip(run_names(places), places, strict=True)]
    data = distil(read, settings, sources=sources or {}, held_out=traces)
    record = distilled_record(data, read, settings, sources or {})
    return SavedData(out, data, record, write_distilled(data, record, out))


def finetune(settings: FinetuneSettings | str | Path, *, out: str | Path) -> FinetunedWriter:
    """Train a test writer with LoRA on data by :func:`distill`.

    Args:
        settings: settings, or their YAML file.
        out: directory of the training; must not exist.

    Raises:
        UserError: the settings, the data or the model cannot be used, or the directory exists.
        InfrastructureError: a worker failed; ``resume_finetuning`` continues the training.

    Example:
        >>> finetune("finetune.yaml", out="runs/writer").adapter  # doctest: +SKIP
    """
    if not isinstance(settings, FinetuneSettings):
        settings = load_finetune_settings(Path(settings))
    return start_training(settings, Path(out))


def resume_finetuning(directory: str | Path) -> FinetunedWriter:
    """Continue a training that was stopped or killed, from its latest checkpoint.

    Raises:
        UserError: the directory holds no training.
        InfrastructureError: as for :func:`finetune`.
    """
    return resume_training(Path(directory))


def quality(
    runs: Sequence[str | Path],
    settings: QualitySettings | None = None,
    *,
    trained_on: Sequence[str | Path] = (),
) -> QualityComparison:
    """Measure the quality of the tests of one finished run, or of two on the problems that they share.

    Args:
        runs: one or two finished runs with labels; the second is compared with the first.
        settings: rule, numbers of tests, permutations (default: ``QualitySettings()``).
        trained_on: trainings by :func:`finetune`, or training data by :func:`distill`, whose problems are
            left out.

    Raises:
        UserError: a directory is none of these, or the runs cannot be compared.

    Example:
        >>> figures = quality(["examples/mbpp"]).figures
        >>> round(figures[0].values[0].value, 3)
        0.715
    """
    places = [Path(run) for run in runs]
    read = [SourceRun(*named) for named in zip(run_names(places), places, strict=True)]
    hashes = frozenset(one for directory in trained_on for one in _trained_on(Path(directory)))
    return compare_quality(read, settings or QualitySettings(), hashes)


def _trained_on(directory: Path) -> list[str]:
    """Content hashes of the problems that a training, or training data, were made of."""
    if (directory / CARD).is_file():
        return list(read_card(directory)["problems"]["train"])
    try:
        return list(json.loads((directory / RESULT_FILE).read_text(encoding="utf-8"))["trained_on"])
    except (OSError, ValueError, KeyError):
        raise UserError(
            f"{directory} must be a directory by testbudget finetune or distill but has neither "
            f"{RESULT_FILE} nor {CARD}"
        ) from None

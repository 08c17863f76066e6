"""Jobs on their way from and to YAML files."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from testbudget.rewards.errors import UserError
from testbudget.rewards.validation import validation_sentence
from testbudget.scheduler.job import Job, PredictorSection


def load_job(path: Path, overrides: Mapping[str, Any] | None = None) -> Job:
    """Reads a job file and checks it; paths in it are relative to its folder.

    Args:
        path: a YAML file.
        overrides: values by dotted field name (``cap.tests``), put in the place of the file's own.

    Raises:
        UserError: the file is missing, no YAML, or against a rule.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path} must be a job file but there is no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} must be a job file but it cannot be read: {error}") from None
    except yaml.YAMLError as error:
        raise UserError(f"{path} must be YAML but {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise UserError(f"{path} must hold the fields of a job but got {type(content).__name__}")
    for name, value in (overrides or {}).items():
        _put(content, name, value, path)
    try:
        job = Job.model_validate(content)
    except ValidationError as error:
        raise UserError(f"{path}: {validation_sentence(error)}") from None
    return _from_folder(job, path.resolve().parent)


def save_job(job: Job, path: Path) -> None:
    """Writes a job as resolved: every default spelled out, every path absolute."""
    content = job.model_dump(mode="json", exclude_none=True)
    path.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8")


def _put(content: dict[str, Any], name: str, value: object, path: Path) -> None:
    *sections, field = name.split(".")
    for section in sections:
        inner = content.setdefault(section, {})
        if not isinstance(inner, dict):
            raise UserError(f"{path}: {section} must hold fields but got {inner!r}")
        content = inner
    content[field] = value


def _from_folder(job: Job, folder: Path) -> Job:
    def resolved(section: BaseModel | None, field: str) -> BaseModel | None:
        path = getattr(section, field, None)
        return (
            section
            if section is None or path is None
            else section.model_copy(update={field: folder / path})
        )

    source = job.problems.source
    scheme, _, file = source.rpartition(":")
    if source != "humaneval":
        source = f"{scheme}:{folder / file}" if scheme else str(folder / file)
    predictor = resolved(job.predictor, "path")
    if job.predictor and job.predictor.fit_from:
        predictor = PredictorSection(fit_from=[folder / run for run in job.predictor.fit_from])
    confidence = job.confidence
    if confidence.fit_from:
        runs = [folder / run for run in confidence.fit_from]
        confidence = confidence.model_copy(update={"fit_from": runs})
    return job.model_copy(
        update={
            "problems": job.problems.model_copy(update={"source": source}),
            "candidates": resolved(resolved(job.candidates, "from_run"), "from_file"),
            "tests": resolved(job.tests, "from_run"),
            "hidden_states": resolved(job.hidden_states, "from_run"),
            "predictor": predictor,
            "policy": resolved(job.policy, "gain_model_from"),
            "confidence": confidence,
        }
    )

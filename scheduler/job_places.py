"""Files, runs and variables that a job names, looked for before anything is read."""

import os
from collections.abc import Iterator
from pathlib import Path

from testbudget.executors.generation.prompts import TEMPLATE_NAMES
from testbudget.rewards.errors import FieldMistake, did_you_mean
from testbudget.scheduler.job import Job
from testbudget.scheduler.sections.model import ModelSection
from testbudget.traces.problem_source import HUMANEVAL, PRESETS

_CLOSE = 0.7  # similarity of a name that is suggested


def missing_places(job: Job) -> Iterator[FieldMistake]:
    """Places that a job names and that do not exist, a mistake each.

    Args:
        job: the job, with paths resolved.
    """
    source = job.problems.problem_source.place
    files = {"problems.source": None if source == HUMANEVAL or source.startswith("hub:") else Path(source)}
    runs: dict[str, list[Path | None]] = {}
    for part in ("candidates", "tests"):
        section = getattr(job, part)
        files[f"{part}.from_file"] = section.from_file
        runs[f"{part}.from_run"] = [section.from_run]
    if job.hidden_states is not None:
        runs["hidden_states.from_run"] = [job.hidden_states.from_run]
    if job.predictor is not None:
        files["predictor.path"] = job.predictor.path
        runs["predictor.fit_from"] = [*(job.predictor.fit_from or [])]
    runs["policy.gain_model_from"] = [job.policy.gain_model_from]
    runs["policy.change_from"] = [*(job.policy.change_from or [])]
    runs["confidence.fit_from"] = [*(job.confidence.fit_from or [])]
    for field, file in files.items():
        if file is not None and not file.exists():
            close = _likely_source(file.name) if field == "problems.source" else ""
            yield _mistake(field, f"names {file}, which does not exist{close}")
    for field, folders in runs.items():
        for folder in folders:
            if folder is not None and not (folder / "candidates.parquet").is_file():
                found = "is no finished run" if folder.exists() else "does not exist"
                yield _mistake(field, f"names {folder}, which {found}")
    for part, model in (("candidates", job.candidates.model), ("tests", job.tests.model)):
        if model is not None:
            yield from _of_model(f"{part}.model", model)


def _likely_source(name: str) -> str:
    """Suggestion of a source, or of the preset before a file, if the name is close to one."""
    preset, colon, file = name.partition(":")
    if not colon:
        return did_you_mean(name.lower(), [HUMANEVAL], _CLOSE)
    found = did_you_mean(preset.lower(), PRESETS, _CLOSE)
    return found and f"{found.removesuffix('?')}:{file}?"


def _of_model(section: str, model: ModelSection) -> Iterator[FieldMistake]:
    if model.template.endswith((".yaml", ".yml")) and not Path(model.template).is_file():
        yield _mistake(f"{section}.template", f"names {model.template}, which does not exist")
    elif not model.template.endswith((".yaml", ".yml")) and model.template not in TEMPLATE_NAMES:
        known = f"must be one of {', '.join(TEMPLATE_NAMES)}, or a .yaml file,"
        close = did_you_mean(model.template, TEMPLATE_NAMES)
        yield _mistake(f"{section}.template", f"{known} but got {model.template!r}{close}")
    if model.api_key_env is not None and not os.environ.get(model.api_key_env):
        yield _mistake(
            f"{section}.api_key_env", f"names the variable {model.api_key_env}, which is not set"
        )
    if model.lora is not None and not model.lora.exists():
        yield _mistake(f"{section}.lora", f"names {model.lora}, which does not exist")


def _mistake(field: str, text: str) -> FieldMistake:
    return FieldMistake(tuple(field.split(".")), f"{field} {text}")

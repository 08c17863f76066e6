"""Job files: YAML read and checked, and jobs written as resolved."""

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from testbudget.rewards.errors import FieldError, FieldMistake, UserError, field_mistakes
from testbudget.scheduler.job import Job
from testbudget.scheduler.job_lines import JobContent, read_content
from testbudget.scheduler.job_places import missing_places
from testbudget.scheduler.sections.predictions import PredictorSection
from testbudget.traces.files import write_text
from testbudget.traces.problem_source import source_from_folder


def load_job(path: Path, overrides: Mapping[str, Any] | None = None, *, with_places: bool = False) -> Job:
    """Read and check a job file. Paths in it are relative to its folder.

    Args:
        path: a YAML file.
        overrides: values by dotted field name (``cap.tests``) that replace those of the file.
        with_places: True to check that the files, runs and variables exist that it names.

    Raises:
        UserError: the file is missing, is not YAML, or breaks a rule.
    """
    content = read_content(path)
    if content.value is None:
        raise UserError(f"{path} must hold the fields of a job but it is empty")
    if not isinstance(content.value, dict):
        raise UserError(f"{path} must hold the fields of a job but got {type(content.value).__name__}")
    job = check_job(content.value, path.resolve().parent, overrides, name=str(path), content=content)
    if with_places and (missing := [*missing_places(job)]):
        raise UserError(_mistakes_sentence(str(path), missing, {}, overrides or {}, content))
    return job


def check_job(
    values: Mapping[str, Any],
    folder: Path,
    overrides: Mapping[str, Any] | None = None,
    *,
    name: str = "job",
    content: JobContent | None = None,
) -> Job:
    """Check the fields of a job. All mistakes are told at once.

    Args:
        values: fields by name, as in a job file.
        folder: base of relative paths.
        overrides: values by dotted field name that replace those of the content.
        name: name of the job in errors.
        content: the file that the fields come from; None without one.

    Raises:
        UserError: a field breaks a rule.
    """
    fields = copy.deepcopy(dict(values))
    repeated = dict(content.repeated) if content else {}
    for field, value in (overrides or {}).items():
        _put(fields, field, value, name)
    try:
        job = Job.model_validate(fields)
    except ValidationError as error:
        found = [*field_mistakes(error, _fields_of)]
    else:
        found = []
    if found or repeated:
        raise UserError(_mistakes_sentence(name, found, repeated, overrides or {}, content))
    return _from_folder(job, folder)


@contextmanager
def told_with_lines(path: Path, overrides: Mapping[str, Any] | None = None) -> Iterator[None]:
    """Context in which a mistake in a field that is found where it is used is told with its line.

    Args:
        path: the job file.
        overrides: values by dotted field name that replace those of the file.

    Raises:
        UserError: a mistake in a field.
    """
    try:
        yield
    except FieldError as error:
        found = FieldMistake(tuple(error.field.split(".")), str(error))
        content = read_content(path)
        raise UserError(_mistakes_sentence(str(path), [found], {}, overrides or {}, content)) from None


def _mistakes_sentence(
    name: str,
    found: Sequence[FieldMistake],
    repeated: Mapping[int, str],
    overrides: Mapping[str, Any],
    content: JobContent | None,
) -> str:
    """One sentence for each mistake, in the order of the lines."""
    told: list[tuple[int, str]] = [(line, f"{name}:{line} {said}") for line, said in repeated.items()]
    for mistake in found:
        line = content.line_of(mistake.path) if content else None
        if line is None or ".".join(mistake.path) in overrides:
            told.append((0, f"{name}: {mistake.sentence}"))
        else:
            told.append((line, f"{name}:{line} {mistake.sentence}"))
    sentences = [*dict.fromkeys(sentence for _, sentence in sorted(told))]
    if len(sentences) == 1:
        return sentences[0]
    return "\n".join([f"{name} has {len(sentences)} mistakes:", *sentences])


def job_fields(job: Job) -> dict[str, Any]:
    """Fields of a job as plain values, with every default spelled out, without those that are None."""
    return job.model_dump(mode="json", exclude_none=True)


def job_text(job: Job) -> str:
    """A job as YAML, with every default spelled out and every path as it is in the job."""
    return yaml.safe_dump(job_fields(job), sort_keys=False, allow_unicode=True)


def changed_fields(before: Mapping[str, Any], after: Mapping[str, Any], section: str = "") -> list[str]:
    """Dotted names of the fields that differ between two jobs, each as of :func:`job_fields`."""
    changed = []
    for name in dict.fromkeys([*before, *after]):
        old, new = before.get(name), after.get(name)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            changed += changed_fields(old, new, f"{section}{name}.")
        elif old != new:
            changed.append(section + name)
    return changed


def save_job(job: Job, path: Path) -> None:
    """Write a job file whole or not at all; see :func:`job_text`."""
    write_text(job_text(job), path)


def _put(content: dict[str, Any], name: str, value: object, job: str) -> None:
    *sections, field = name.split(".")
    for section in sections:
        inner = content.setdefault(section, {})
        if not isinstance(inner, dict):
            raise UserError(f"{job}: {section} must hold fields but got {inner!r}")
        content = inner
    content[field] = value


def _fields_of(section: Sequence[str]) -> Iterable[str]:
    """Names of the fields of a section of the job, by its path; none if there is no such section."""
    model: type[BaseModel] = Job
    for name in section:
        field = model.model_fields.get(name)
        kinds = [field.annotation, *get_args(field.annotation)] if field else []
        found = next(
            (kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None
        )
        if found is None:
            return ()
        model = found
    return model.model_fields


def _from_folder(job: Job, folder: Path) -> Job:
    def resolved(section: BaseModel | None, field: str) -> BaseModel | None:
        path = getattr(section, field, None)
        return (
            section
            if section is None or path is None
            else section.model_copy(update={field: folder / path})
        )

    def with_adapter(section: BaseModel | None) -> BaseModel | None:
        model = getattr(section, "model", None)
        if section is None or model is None:
            return section
        return section.model_copy(update={"model": resolved(model, "lora")})

    source = source_from_folder(job.problems.source, folder)
    predictor = resolved(job.predictor, "path")
    if job.predictor and job.predictor.fit_from:
        predictor = PredictorSection(fit_from=[folder / run for run in job.predictor.fit_from])
    confidence = job.confidence
    if confidence.fit_from:
        runs = [folder / run for run in confidence.fit_from]
        confidence = confidence.model_copy(update={"fit_from": runs})
    policy = job.policy
    if policy.gain_model_from:
        policy = policy.model_copy(update={"gain_model_from": folder / policy.gain_model_from})
    if policy.change_from:
        policy = policy.model_copy(update={"change_from": [folder / run for run in policy.change_from]})
    return job.model_copy(
        update={
            "problems": job.problems.model_copy(update={"source": source}),
            "candidates": with_adapter(resolved(resolved(job.candidates, "from_run"), "from_file")),
            "tests": with_adapter(resolved(resolved(job.tests, "from_run"), "from_file")),
            "hidden_states": resolved(job.hidden_states, "from_run"),
            "predictor": predictor,
            "policy": policy,
            "confidence": confidence,
            "execution": resolved(job.execution, "python"),
        }
    )

"""Sections of a job file on its programs: the sources of candidates and tests."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from testbudget.executors.generation.extraction.candidates import ExtractionRule
from testbudget.executors.generation.extraction.written_inputs import MAX_INPUTS
from testbudget.scheduler.sections.base import JobSection, need_exactly_one
from testbudget.scheduler.sections.model import ModelSection


class CandidatesSection(JobSection):
    """Source of the candidate programs: exactly one of from_run, from_file and model."""

    from_run: Path | None = Field(None, description="finished run whose candidates are taken")
    from_file: Path | None = Field(None, description="file with candidates of a problem in each row")
    fields: dict[str, str] = Field(
        default_factory=dict,
        description="column of from_file by field (problem, code, completion, answer), where the "
        "names differ",
    )
    model: ModelSection | None = Field(None, description="policy model that they are sampled from")
    count: int | None = Field(None, ge=1, description="candidates per problem (default: all of the source)")
    extraction: ExtractionRule = Field(
        ExtractionRule.LAST, description="choice of several programs in an answer"
    )

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        need_exactly_one(self, "from_run", "from_file", "model")
        _need_file_of_fields(self)
        if self.model and self.count is None:
            raise ValueError("needs count, the number of candidates to sample per problem")
        return self


class TestsSection(JobSection):
    """Source of the unit tests: exactly one of from_run, from_file and model."""

    __test__ = False  # pytest would collect it by its name

    from_run: Path | None = Field(None, description="finished run whose tests are taken in their order")
    from_file: Path | None = Field(
        None, description="file with one test of a problem per row, taken in their order"
    )
    fields: dict[str, str] = Field(
        default_factory=dict,
        description="column of from_file by field (problem, code, stdin, expected_stdout, ...), where the "
        "names differ",
    )
    model: ModelSection | None = Field(None, description="reward model that generates them")
    kind: Literal["auto", "code", "stdin"] = Field(
        "auto",
        description="form of the tests: stdin (an input and its output) for problems without entry_point "
        "and code for others, or only one of them",
    )
    stdin_template: str | None = Field(
        None,
        description="prompt template of stdin tests (default: that of model if it asks for them, else "
        "stdin, or stdin_completion without a chat)",
    )

    inputs: int = Field(
        0,
        ge=0,
        le=MAX_INPUTS,
        description="number of inputs without expected values that the model also writes for each problem, "
        "in one answer; they show which candidates differ, and cost one test and this many executions of "
        "each candidate (default: 0, none)",
    )
    inputs_template: str | None = Field(
        None,
        description="prompt template of the inputs (default: inputs, or stdin_inputs for problems without "
        "entry_point)",
    )

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        need_exactly_one(self, "from_run", "from_file", "model")
        _need_file_of_fields(self)
        if self.inputs and self.from_file is not None:
            raise ValueError("inputs needs model or from_run but the tests come from a file")
        if self.inputs_template is not None and not (self.inputs and self.model):
            raise ValueError("inputs_template needs inputs, and model, which writes them")
        return self


def _need_file_of_fields(section: CandidatesSection | TestsSection) -> None:
    if section.fields and section.from_file is None:
        raise ValueError("fields must go with from_file, whose columns they name")

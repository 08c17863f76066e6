"""Sections of a job file on the execution of tests: limits, elimination and isolation."""

from dataclasses import fields
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from testbudget.executors.execution.limits import ISOLATION_LAYERS, LayerName, TestLimits, Trust
from testbudget.executors.execution.package_choice import PackageChoice
from testbudget.scheduler.sections.base import JobSection


class ExecutionSection(JobSection):
    """Limits and options of executing tests."""

    cpu_seconds: float = Field(
        2.0, gt=0, description="CPU time limit of one test on one candidate, in seconds"
    )
    wall_seconds: float = Field(10.0, gt=0, description="wall clock limit of one pair, in seconds")
    memory_mib: int = Field(1024, ge=64, description="memory limit of one candidate in MiB")
    max_threads: int = Field(16, ge=1, description="maximum number of threads of one candidate")
    file_mib: int = Field(16, ge=1, description="size limit of a file that a candidate writes, in MiB")
    max_timeouts: int = Field(
        3,
        ge=1,
        description="number of timeouts in a block after which a candidate's other tests are not run",
    )
    runners: int | None = Field(
        None, ge=1, description="number of sandboxes (default: one per free CPU core)"
    )
    trust: Trust = Field(Trust.HOSTILE, description="honest counts passes that could have been forged")
    packages: list[str] = Field(
        default_factory=list,
        description="installed distributions that Python programs may import, with what they require",
    )
    python: Path | None = Field(
        None,
        description="interpreter of the environment that the packages are installed in (default: that of "
        "testbudget)",
    )
    record_outputs: bool = Field(
        True, description="record the output of each candidate on each call of a test"
    )
    input_mutations: int = Field(
        0,
        ge=0,
        description="number of further inputs per test that the same candidates are called on: small "
        "changes of the test's arguments, without an expected value",
    )

    @model_validator(mode="after")
    def _outputs_recorded(self) -> Self:
        if self.input_mutations and not self.record_outputs:
            raise ValueError("input_mutations needs record_outputs but it is off")
        return self

    @property
    def package_choice(self) -> PackageChoice:
        """Distributions that programs may import."""
        python = None if self.python is None else str(self.python.absolute())
        return PackageChoice(tuple(self.packages), python)

    @property
    def limits(self) -> TestLimits:
        """Limits of one test in a sandbox."""
        return TestLimits(**{field.name: getattr(self, field.name) for field in fields(TestLimits)})


class EliminationSection(JobSection):
    """Elimination of candidates: a further test is run only on candidates that can still win."""

    apply_to: Literal["generated", "all", "none"] = Field(
        "generated",
        description="tests that eliminate: generated in this run, all (recorded ones too), or none",
    )
    z: float | None = Field(
        None,
        ge=0,
        description="elimination threshold: a candidate is eliminated once losses - wins > "
        "z * sqrt(losses + wins) against the leader (default: 1.65; 2.0 for rules that use outputs)",
    )


class SandboxSection(JobSection):
    """Isolation of programs from the machine."""

    require: list[LayerName] = Field(
        default_factory=list,
        description="isolation layers without which the run does not start, any of "
        f"{', '.join(ISOLATION_LAYERS)}",
    )

"""The job of a run as a pydantic model: the whole job file. Its sections are in ``scheduler/sections/``.

Checking a job file loads no array library: names of rules, policies and layers come from modules of names.
"""

from typing import Any, Self

from pydantic import Field, model_validator

from testbudget.scheduler.backends.registry import BackendName
from testbudget.scheduler.job_names import BackendField, SelectionField, policy_needs
from testbudget.scheduler.ray_job import enclosing_cluster
from testbudget.scheduler.sections.base import JobSection
from testbudget.scheduler.sections.cap import CapSection
from testbudget.scheduler.sections.cluster import ClusterSection
from testbudget.scheduler.sections.confidence import ConfidenceSection
from testbudget.scheduler.sections.execution import EliminationSection, ExecutionSection, SandboxSection
from testbudget.scheduler.sections.policy import PolicySection
from testbudget.scheduler.sections.predictions import HiddenStatesSection, PredictorSection
from testbudget.scheduler.sections.problems import ProblemsSection
from testbudget.scheduler.sections.programs import CandidatesSection, TestsSection


def _default_backend(sections: dict[str, Any]) -> BackendName:
    models = [getattr(sections.get(name), "model", None) for name in ("candidates", "tests")]
    states: HiddenStatesSection | None = sections.get("hidden_states")
    if states is not None and states.base_model is not None:
        models.append(states)
    on_gpus = any(model is not None and model.gpus for model in models)
    on_cluster = sections.get("cluster") != ClusterSection() or enclosing_cluster() is not None
    return "ray" if on_gpus or on_cluster else "in_process"


class Job(JobSection):
    """Job of a run: the whole job file."""

    problems: ProblemsSection
    candidates: CandidatesSection
    tests: TestsSection
    hidden_states: HiddenStatesSection | None = None
    predictor: PredictorSection | None = None
    policy: PolicySection = Field(default_factory=PolicySection)
    selection: SelectionField = Field("calibrated", description="selection rule")
    confidence: ConfidenceSection = Field(default_factory=ConfidenceSection)
    cap: CapSection
    execution: ExecutionSection = Field(default_factory=ExecutionSection)
    elimination: EliminationSection = Field(default_factory=EliminationSection)
    sandbox: SandboxSection = Field(default_factory=SandboxSection)
    cluster: ClusterSection = Field(default_factory=ClusterSection)
    backend: BackendField = Field(
        default_factory=_default_backend,
        description="ray and in_process execute; recorded reads a finished run (default: ray for GPUs or a "
        "cluster, else in_process)",
    )
    seed: int = Field(0, ge=0, description="seed that all random streams derive from")

    @property
    def eliminates(self) -> bool:
        """True if candidates are eliminated in this run."""
        return self.elimination.apply_to == "all" or (
            self.elimination.apply_to == "generated" and self.tests.model is not None
        )

    @property
    def unit_prices(self) -> dict[str, float]:
        """Price of each quantity of the cap in US dollars, those of a served model's tokens included."""
        prices, model = self.cap.unit_prices, self.tests.model
        if self.cap.prices and model and model.base_url and model.name in self.cap.prices.models:
            prices |= self.cap.prices.models[model.name].unit_prices
        return prices

    @model_validator(mode="after")
    def _priced(self) -> Self:
        prices = self.cap.prices
        served = {
            model.name: f"{part}.model.name"
            for part, model in (("candidates", self.candidates.model), ("tests", self.tests.model))
            if model is not None and model.base_url is not None
        }
        priced = prices.models if prices else {}
        if unknown := sorted(priced.keys() - served.keys()):
            raise ValueError(
                f"cap.prices.models prices {unknown[0]}, which is no model with base_url of this job"
            )
        if self.cap.usd is not None and (missing := [name for name in served if name not in priced]):
            raise ValueError(
                f"cap.usd needs the price of {served[missing[0]]} {missing[0]}, a model with base_url: "
                "state its prompt_tokens and completion_tokens, in US dollars per million, in "
                "cap.prices.models"
            )
        if prices and prices.tokens and self.tests.model and self.tests.model.name in priced:
            raise ValueError("cap.prices must not state tokens beside the prices of the model of the tests")
        return self

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.predictor and not self.hidden_states:
            raise ValueError("predictor needs hidden_states but there are none")
        if "pass_rates" in policy_needs(self.policy.name) and not self.predictor:
            raise ValueError(f"policy.name {self.policy.name} needs a predictor but there is none")
        if self.backend == "recorded" and (
            self.tests.from_run is None or self.candidates.from_run != self.tests.from_run
        ):
            raise ValueError(
                "backend recorded needs candidates.from_run and tests.from_run, both the same run"
            )
        return self

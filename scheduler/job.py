"""The job of a run as pydantic models: the fields of a job file with types, ranges and descriptions.

Checking a job file loads no array library: names of rules, policies and layers come from modules of names.
"""

from dataclasses import fields
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from testbudget.executors.execution.limits import ISOLATION_LAYERS, LayerName, TestLimits, Trust
from testbudget.executors.generation.extraction.candidates import ExtractionRule
from testbudget.scheduler.backends.registry import BackendName
from testbudget.scheduler.job_names import (
    BackendField,
    GeneratorField,
    PolicyField,
    SelectionField,
    policy_needs,
)


class JobSection(BaseModel):
    """Base class of the sections of a job file. Unknown fields are refused."""

    # Schemas are built when a job is checked, since --help needs none.
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class ProblemsSection(JobSection):
    """Problems to solve."""

    source: str = Field(description="humaneval, mbpp:FILE, or a JSONL file of problems")
    ids: list[str] | None = Field(None, description="ids of the problems to take (default: all)")
    limit: int | None = Field(
        None, ge=1, description="number of problems to take, from the first (default: all)"
    )


class ModelSection(JobSection):
    """Language model, served by vLLM or by the generator of a plug-in."""

    name: str = Field(description="model hub name or local folder")
    generator: GeneratorField = Field("vllm", description="generator that serves the model")
    template: str = Field(description="prompt template: a built-in name or a YAML file")
    temperature: float = Field(0.8, ge=0, description="sampling temperature")
    top_p: float = Field(0.95, gt=0, le=1, description="nucleus sampling threshold")
    max_tokens: int = Field(1024, ge=1, description="maximum length of an answer in tokens")
    actors: int = Field(1, ge=1, description="number of engines to start")
    gpus: float = Field(1, ge=0, description="GPUs per engine; 0 runs vLLM's CPU build")
    cpus: float = Field(1, ge=0, description="CPU cores per engine")
    in_flight: int = Field(256, ge=1, description="maximum number of concurrent requests per engine")
    timeout_seconds: float = Field(600, gt=0, description="time limit of one answer in seconds")
    engine: dict[str, Any] = Field(
        default_factory=dict, description="further arguments of the generator, by vLLM's or its own names"
    )

    @model_validator(mode="after")
    def _gpus_for_all_ranks(self) -> Self:
        ranks = self.engine.get("tensor_parallel_size", 1) if self.generator == "vllm" else 1
        if ranks != 1 and self.gpus not in {0, ranks}:
            raise ValueError(f"gpus must equal engine.tensor_parallel_size ({ranks}) but got {self.gpus:g}")
        return self


class CandidatesSection(JobSection):
    """Source of the candidate programs: exactly one of from_run, from_file and model."""

    from_run: Path | None = Field(None, description="finished run whose candidates are taken")
    from_file: Path | None = Field(None, description="JSONL file with one {problem, code} per line")
    model: ModelSection | None = Field(None, description="policy model that they are sampled from")
    count: int | None = Field(None, ge=1, description="candidates per problem (default: all of the source)")
    extraction: ExtractionRule = Field(
        ExtractionRule.LAST, description="choice of several programs in an answer"
    )

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        _need_exactly_one(self, "from_run", "from_file", "model")
        if self.model and self.count is None:
            raise ValueError("needs count, the number of candidates to sample per problem")
        return self


class TestsSection(JobSection):
    """Source of the unit tests: exactly one of from_run and model."""

    __test__ = False  # pytest would collect it by its name

    from_run: Path | None = Field(None, description="finished run whose tests are taken in their order")
    model: ModelSection | None = Field(None, description="reward model that generates them")

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        _need_exactly_one(self, "from_run", "model")
        return self


class HiddenStatesSection(JobSection):
    """Source of the hidden states of the prompts: exactly one of from_run and base_model.

    Extractors compute the states of a base model. They are charged in GPU-seconds, or in CPU time if they
    hold no GPU. The fields after ``layers`` configure them.
    """

    from_run: Path | None = Field(
        None, description="finished run whose hidden states are taken, at their cost in that run"
    )
    base_model: str | None = Field(
        None, description="model that they are extracted from: hub name or local folder"
    )
    layers: list[int] | None = Field(
        None,
        description="layers, numbered as in Hugging Face hidden_states (default: all layers of the run; "
        "layers at 1/2, 3/4 and all of the depth of a model)",
    )
    engine: Literal["transformers", "vllm"] = Field(
        "transformers", description="library that computes them"
    )
    dtype: Literal["bfloat16", "float32"] = Field(
        "bfloat16", description="precision of weights and activations"
    )
    actors: int = Field(1, ge=1, description="number of extractors to start, each with the whole model")
    gpus: float = Field(0, ge=0, description="GPUs per extractor; 0 uses CPU cores")
    cpus: float = Field(1, ge=0, description="CPU cores per extractor")
    batch_size: int = Field(
        16,
        ge=1,
        description="prompts per batch; a batch is computed, charged and stored as a whole",
    )
    max_tokens: int = Field(
        4096, ge=1, description="maximum length of a prompt in tokens; longer ones lose their beginning"
    )
    timeout_seconds: float = Field(600, gt=0, description="time limit of one batch in seconds")

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        _need_exactly_one(self, "from_run", "base_model")
        if self.gpus > 1 and (self.engine == "transformers" or self.gpus % 1):
            raise ValueError(
                f"gpus must be at most 1, or a whole number with engine vllm, but got {self.gpus:g} "
                f"with engine {self.engine}"
            )
        return self


class PredictorSection(JobSection):
    """Predictor of each problem's pass rate before its first test: exactly one of path and fit_from.

    A problem is predicted by models that were fitted without it.
    """

    path: Path | None = Field(None, description="directory of a model that `testbudget train` has written")
    fit_from: list[Path] | None = Field(
        None, min_length=1, description="finished runs with labels and hidden states to fit a model on"
    )

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        _need_exactly_one(self, "path", "fit_from")
        return self


class PolicySection(JobSection):
    """Allocation policy, and bounds on the number of tests of a problem."""

    name: PolicyField = Field("uniform", description="allocation policy")
    gain_model_from: Path | None = Field(
        None, description="finished run with labels that the gain model is fitted on (adaptive and binned)"
    )
    min_tests: int = Field(0, ge=0, description="number of tests that every problem gets first")
    max_tests: int | None = Field(
        None, ge=1, description="maximum number of tests of a problem (default: no limit)"
    )
    window: int | None = Field(
        None,
        ge=1,
        description="maximum number of tests granted and not told to the policy (default: 16 per "
        "concurrent request, at least one per problem; none if static and nothing is metered)",
    )
    quantum: int | None = Field(
        None,
        ge=1,
        description="number of tests told between two decisions (default: a quarter of the concurrent "
        "requests)",
    )
    stop_when_harmful: bool = Field(
        True,
        description="close a problem once more tests are more likely to make its pick wrong than right; "
        "checked after 5, 9, 16, 29, 52, ... tests",
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        needs = policy_needs(self.name)
        if "curves" in needs:
            raise ValueError(f"name {self.name} needs true accuracy curves, which no run has")
        if "gain_models" in needs and self.gain_model_from is None:
            raise ValueError(f"name {self.name} needs gain_model_from, a finished run, but there is none")
        if self.window is not None and self.quantum is not None and self.window < self.quantum:
            raise ValueError(f"window must be at least quantum ({self.quantum}) but got {self.window}")
        if self.max_tests is not None and self.max_tests < self.min_tests:
            raise ValueError(
                f"max_tests must be at least min_tests ({self.min_tests}) but got {self.max_tests}"
            )
        return self


class PricesSection(JobSection):
    """Prices in US dollars per unit of each quantity."""

    tests: float = Field(0, ge=0, description="US dollars per unit test")
    tokens: float = Field(0, ge=0, description="US dollars per token")
    executions: float = Field(0, ge=0, description="US dollars per (candidate, test) pair")
    cpu_seconds: float = Field(0, ge=0, description="US dollars per CPU-second")
    gpu_seconds: float = Field(0, ge=0, description="US dollars per GPU-second")


_DIMENSIONS = (*PricesSection.model_fields, "usd")


class CapSection(JobSection):
    """Compute cap of the whole run: at least one limit. All limits that are set hold at once."""

    tests: int | None = Field(None, ge=1, description="unit tests requested of the reward model")
    tokens: int | None = Field(None, ge=1, description="tokens generated for tests")
    executions: int | None = Field(None, ge=1, description="(candidate, test) pairs executed")
    cpu_seconds: float | None = Field(None, gt=0, description="CPU-seconds of executing tests")
    gpu_seconds: float | None = Field(None, gt=0, description="GPU-seconds of generating tests")
    usd: float | None = Field(None, gt=0, description="US dollars, at the prices below")
    prices: PricesSection | None = Field(None, description="price of a unit of each quantity")

    @model_validator(mode="after")
    def _some_limit(self) -> Self:
        if not self.limits:
            raise ValueError(f"needs at least one of {', '.join(_DIMENSIONS)}")
        if self.usd is not None and self.prices is None:
            raise ValueError("usd needs prices but there are none")
        return self

    @property
    def limits(self) -> dict[str, float]:
        """Limits that are set, by dimension."""
        return {name: value for name in _DIMENSIONS if (value := getattr(self, name)) is not None}

    @property
    def unit_prices(self) -> dict[str, float]:
        """Price of each quantity in US dollars; empty without prices."""
        return self.prices.model_dump() if self.prices else {}


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


class ConfidenceSection(JobSection):
    """Estimate of p_correct, the probability that a pick is correct."""

    abstain_below: float = Field(
        0, ge=0, le=1, description="picks with a lower p_correct are marked as abstained"
    )
    fit_from: list[Path] | None = Field(
        None,
        min_length=1,
        description="finished runs with labels to fit the confidence models on (default: models fitted "
        "on the recorded HumanEval run)",
    )


class ClusterSection(JobSection):
    """Ray cluster."""

    address: str | None = Field(None, description="address of a running cluster (default: start one here)")
    num_cpus: int | None = Field(None, ge=1, description="CPU cores of a cluster started here")
    num_gpus: int | None = Field(None, ge=0, description="GPUs of a cluster started here")


def _default_backend(sections: dict[str, Any]) -> BackendName:
    models = [getattr(sections.get(name), "model", None) for name in ("candidates", "tests")]
    states: HiddenStatesSection | None = sections.get("hidden_states")
    if states is not None and states.base_model is not None:
        models.append(states)
    on_gpus = any(model is not None and model.gpus for model in models)
    return "ray" if on_gpus or sections.get("cluster") != ClusterSection() else "in_process"


class Job(JobSection):
    """Job of a run: the whole job file."""

    problems: ProblemsSection
    candidates: CandidatesSection
    tests: TestsSection
    hidden_states: HiddenStatesSection | None = None
    predictor: PredictorSection | None = None
    policy: PolicySection = Field(default_factory=PolicySection)
    selection: SelectionField = Field("auto", description="selection rule")
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
            self.elimination.apply_to == "generated" and self.tests.from_run is None
        )

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


def _need_exactly_one(section: JobSection, *names: str) -> None:
    given = [name for name in names if getattr(section, name) is not None]
    if len(given) != 1:
        known = f"{', '.join(names[:-1])} and {names[-1]}"
        raise ValueError(f"needs exactly one of {known} but got {' and '.join(given) or 'none'}")

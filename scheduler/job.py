"""A job: everything that a run is told, checked before anything starts."""

from dataclasses import fields
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from testbudget.executors.execution.limits import ISOLATION_LAYERS, TestLimits
from testbudget.policies.registry import POLICY_NAMES, policy_class
from testbudget.rewards.selection.registry import SELECTION_RULES
from testbudget.scheduler.budget import Cap
from testbudget.traces.records import DIMENSIONS, QUANTITIES

_POLICIES = [name for name in POLICY_NAMES if not policy_class(name).uses_curves]  # which nobody can know


class JobSection(BaseModel):
    """A part of the job file; unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ProblemsSection(JobSection):
    """Which problems are to be solved."""

    source: str = Field(description="humaneval, mbpp:FILE, or a JSONL file of problems")
    ids: list[str] | None = Field(None, description="only these problems")
    limit: int | None = Field(None, ge=1, description="only the first so many problems")


class ModelSection(JobSection):
    """A model that writes code, served by vLLM in Ray actors."""

    name: str = Field(description="model hub name or local folder")
    template: str = Field(description="prompt template: a built-in name or a YAML file")
    temperature: float = Field(0.8, ge=0, description="sampling temperature")
    top_p: float = Field(0.95, gt=0, le=1, description="nucleus sampling threshold")
    max_tokens: int = Field(1024, ge=1, description="longest answer, in tokens")
    actors: int = Field(1, ge=1, description="engines to start")
    gpus: float = Field(1, ge=0, description="GPUs per engine; 0 runs vLLM's CPU build")
    cpus: float = Field(1, ge=0, description="CPU cores per engine")
    in_flight: int = Field(256, ge=1, description="most requests at once per engine")
    timeout_seconds: float = Field(600, gt=0, description="longest time for one answer")
    engine: dict[str, Any] = Field(
        default_factory=dict, description="more engine settings, under vLLM's own names"
    )

    @model_validator(mode="after")
    def _gpus_for_all_ranks(self) -> Self:
        ranks = self.engine.get("tensor_parallel_size", 1)
        if ranks != 1 and self.gpus not in {0, ranks}:
            raise ValueError(f"gpus must equal engine.tensor_parallel_size ({ranks}) but got {self.gpus:g}")
        return self


class CandidatesSection(JobSection):
    """Where candidate programs come from: exactly one of from_run, from_file and model."""

    from_run: Path | None = Field(None, description="take the candidates of a finished run")
    from_file: Path | None = Field(None, description="JSONL with one {problem, code} per line")
    model: ModelSection | None = Field(None, description="sample them from a policy model")
    count: int | None = Field(None, ge=1, description="candidates per problem (default: all there are)")

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        _need_exactly_one(self, "from_run", "from_file", "model")
        if self.model and self.count is None:
            raise ValueError("needs count, the number of candidates to sample per problem")
        return self


class TestsSection(JobSection):
    """Where unit tests come from: exactly one of from_run and model."""

    __test__ = False  # pytest would collect it by its name

    from_run: Path | None = Field(None, description="replay the tests that a finished run recorded")
    model: ModelSection | None = Field(None, description="have a reward model write them")

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        _need_exactly_one(self, "from_run", "model")
        return self


class HiddenStatesSection(JobSection):
    """Where hidden states of the prompts come from: exactly one of from_run and base_model.

    A model is read by Ray actors before the first test, and charged as they are used: GPU-seconds, or CPU
    time where they hold no GPU. All fields but from_run and layers are of these actors.
    """

    from_run: Path | None = Field(
        None, description="take the hidden states of a finished run, charged for what they cost there"
    )
    base_model: str | None = Field(None, description="extract them: model hub name or local folder")
    layers: list[int] | None = Field(
        None,
        description="layers, numbered as in Hugging Face hidden_states (default: all that the run has; "
        "half-way, three quarters and final of a model)",
    )
    engine: Literal["transformers", "vllm"] = Field("transformers", description="what computes them")
    dtype: Literal["bfloat16", "float32"] = Field(
        "bfloat16", description="precision of weights and computation"
    )
    actors: int = Field(1, ge=1, description="extractors to start, each with the whole model")
    gpus: float = Field(0, ge=0, description="GPUs per extractor; 0 computes on CPU cores")
    cpus: float = Field(1, ge=0, description="CPU cores per extractor")
    batch_size: int = Field(
        16,
        ge=1,
        description="prompts per batch: computed, charged and kept together, lost together at a kill",
    )
    max_tokens: int = Field(4096, ge=1, description="longer prompts lose their beginning")
    timeout_seconds: float = Field(
        600, gt=0, description="longest time for one batch, which the cap must have room for"
    )

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
    """What predicts each problem's pass rate before its first test: exactly one of path and fit_from.

    A problem is never predicted by anything that has seen it.
    """

    path: Path | None = Field(None, description="a model that `testbudget train` has made")
    fit_from: list[Path] | None = Field(
        None, min_length=1, description="train one here, on finished runs with labels and hidden states"
    )

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        _need_exactly_one(self, "path", "fit_from")
        return self


class PolicySection(JobSection):
    """Who gets the next test."""

    name: str = Field("uniform", description=f"one of {', '.join(_POLICIES)}")
    gain_model_from: Path | None = Field(
        None, description="finished run with labels that teaches what tests are worth (adaptive and binned)"
    )
    min_tests: int = Field(0, ge=0, description="tests that every problem gets first")
    max_tests: int | None = Field(None, ge=1, description="most tests of a problem")
    stop_when_harmful: bool = Field(
        True,
        description="give no more tests to a problem whose pick they are likelier to harm than to help; "
        "each is looked at after 5, 9, 16, 29, 52, ... tests",
    )

    @model_validator(mode="after")
    def _known(self) -> Self:
        if self.name not in _POLICIES:
            raise ValueError(f"name must be one of {', '.join(_POLICIES)} but got {self.name}")
        if policy_class(self.name).uses_gain_models and self.gain_model_from is None:
            raise ValueError(f"name {self.name} needs gain_model_from, a finished run, but there is none")
        if self.max_tests is not None and self.max_tests < self.min_tests:
            raise ValueError(
                f"max_tests must be at least min_tests ({self.min_tests}) but got {self.max_tests}"
            )
        return self


class PricesSection(JobSection):
    """US dollars per unit of each quantity."""

    tests: float = Field(0, ge=0)
    tokens: float = Field(0, ge=0)
    executions: float = Field(0, ge=0)
    cpu_seconds: float = Field(0, ge=0)
    gpu_seconds: float = Field(0, ge=0)


class CapSection(JobSection):
    """The global compute cap: at least one limit; all that are set hold at once."""

    tests: int | None = Field(None, ge=1, description="unit tests asked of the reward model")
    tokens: int | None = Field(None, ge=1, description="tokens generated for tests")
    executions: int | None = Field(None, ge=1, description="(candidate, test) pairs run")
    cpu_seconds: float | None = Field(None, gt=0, description="CPU time of running tests")
    gpu_seconds: float | None = Field(None, gt=0, description="GPU time of writing tests")
    usd: float | None = Field(None, gt=0, description="US dollars at the given prices")
    prices: PricesSection | None = Field(None, description="what a unit of each quantity costs")

    @model_validator(mode="after")
    def _some_limit(self) -> Self:
        if all(getattr(self, dimension) is None for dimension in DIMENSIONS):
            raise ValueError(f"needs at least one of {', '.join(DIMENSIONS)}")
        if self.usd is not None and self.prices is None:
            raise ValueError("usd needs prices but there are none")
        return self

    def as_cap(self) -> Cap:
        """The limits and prices as the ledger takes them."""
        limits = {d: getattr(self, d) for d in DIMENSIONS if getattr(self, d) is not None}
        prices = {q: getattr(self.prices, q) for q in QUANTITIES} if self.prices else {}
        return Cap(limits, prices)


class ExecutionSection(JobSection):
    """How tests are run."""

    cpu_seconds: float = Field(2.0, gt=0, description="CPU time limit of one test on one candidate")
    wall_seconds: float = Field(10.0, gt=0, description="wall clock limit of one test on one candidate")
    memory_mib: int = Field(1024, ge=64, description="memory limit of one candidate")
    max_threads: int = Field(16, ge=1, description="most threads and processes of one candidate at once")
    file_mib: int = Field(16, ge=1, description="largest file that one candidate may write")
    max_timeouts: int = Field(
        3, ge=1, description="after so many timeouts in a block of tests a candidate's others are not run"
    )
    runners: int | None = Field(None, ge=1, description="sandboxes (default: one per free CPU core)")
    record_outputs: bool = Field(
        True, description="keep what the candidates gave back on each call of a test"
    )
    input_mutations: int = Field(
        0,
        ge=0,
        description="inputs that are run beside each test, on the same candidates: small changes to the "
        "arguments of its calls, without an expected value",
    )

    @model_validator(mode="after")
    def _recorded(self) -> Self:
        if self.input_mutations and not self.record_outputs:
            raise ValueError("input_mutations needs record_outputs but it is off")
        return self

    @property
    def limits(self) -> TestLimits:
        """The limits as a sandbox takes them."""
        return TestLimits(**{field.name: getattr(self, field.name) for field in fields(TestLimits)})


class EliminationSection(JobSection):
    """Which candidates a further test is run on: those that can still win, one of those that do alike."""

    apply_to: Literal["generated", "all", "none"] = Field(
        "generated",
        description="race on tests that a model writes in this run, on recorded ones too, or on none",
    )
    z: float | None = Field(
        None,
        ge=0,
        description="a candidate is out once it lost to the leader more tests than it won by over z times "
        "the square root of both together, and fewer behave like it if the selection rule goes by that; "
        "1.65 unless said, and 2 if the rule goes by what candidates give back",
    )


class SandboxSection(JobSection):
    """What must keep programs apart from the machine."""

    require: list[str] = Field(
        default_factory=list,
        description="refuse to start where one of these isolation layers cannot be had: "
        f"any of {', '.join(ISOLATION_LAYERS)}",
    )

    @model_validator(mode="after")
    def _known(self) -> Self:
        if unknown := [name for name in self.require if name not in ISOLATION_LAYERS]:
            raise ValueError(
                f"require must name layers ({', '.join(ISOLATION_LAYERS)}) but got {unknown[0]}"
            )
        return self


class ConfidenceSection(JobSection):
    """How sure one can be of the picks."""

    abstain_below: float = Field(
        0, ge=0, le=1, description="mark picks that are less likely than this to be right as abstained"
    )
    fit_from: list[Path] | None = Field(
        None,
        min_length=1,
        description="learn what picks can be trusted on finished runs with labels (default: as learned "
        "from the recorded HumanEval run)",
    )


class ClusterSection(JobSection):
    """The Ray cluster."""

    address: str | None = Field(None, description="address of a running cluster (default: start one here)")
    num_cpus: int | None = Field(None, ge=1, description="CPU cores of a cluster started here")
    num_gpus: int | None = Field(None, ge=0, description="GPUs of a cluster started here")


class Job(JobSection):
    """A whole job file."""

    problems: ProblemsSection
    candidates: CandidatesSection
    tests: TestsSection
    hidden_states: HiddenStatesSection | None = None
    predictor: PredictorSection | None = None
    policy: PolicySection = PolicySection()
    selection: str = Field("auto", description=f"one of {', '.join(SELECTION_RULES)}")
    confidence: ConfidenceSection = ConfidenceSection()
    cap: CapSection
    execution: ExecutionSection = ExecutionSection()
    elimination: EliminationSection = EliminationSection()
    sandbox: SandboxSection = SandboxSection()
    cluster: ClusterSection = ClusterSection()
    backend: Literal["ray", "recorded"] = Field(
        "ray", description="ray does the work; recorded looks it up in a finished run, on a simulated clock"
    )
    seed: int = Field(0, ge=0, description="everything random derives from it")

    @property
    def eliminates(self) -> bool:
        """Whether candidates that can no longer win are left out of further tests."""
        return self.elimination.apply_to == "all" or (
            self.elimination.apply_to == "generated" and self.tests.from_run is None
        )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.selection not in SELECTION_RULES:
            raise ValueError(
                f"selection must be one of {', '.join(SELECTION_RULES)} but got {self.selection}"
            )
        if self.predictor and not self.hidden_states:
            raise ValueError("predictor needs hidden_states but there are none")
        if policy_class(self.policy.name).uses_pass_rates and not self.predictor:
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

"""Parts of a run put together: what it takes from elsewhere, how it does the rest, and its dispatcher."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from testbudget.executors.generation.unit_tests import UnitTestGenerator
from testbudget.rewards.confidence.change import ChangeModel, default_change_model
from testbudget.rewards.confidence.model import ConfidenceModels
from testbudget.rewards.selection.base import SelectionRule
from testbudget.scheduler.assessment import Assessor, CandidateElimination, EliminationRule
from testbudget.scheduler.backends.base import Backend
from testbudget.scheduler.dispatch import Dispatcher, WorkOfRun
from testbudget.scheduler.run_problems import RunProblems
from testbudget.scheduler.work.candidates import CandidateGenerator, CandidateSampling
from testbudget.scheduler.work.hidden_states import Extraction, RecordedStates
from testbudget.scheduler.work.labels import Labelling, Labels
from testbudget.scheduler.work.open_work import OpenWork
from testbudget.scheduler.work.prediction import Predictor
from testbudget.scheduler.work.unit_tests import Testing
from testbudget.traces.records import CandidateRecord


@dataclass(frozen=True, slots=True, eq=False)
class RunSources:
    """Inputs that a run takes from finished runs and files; None where the work is done instead.

    Attributes:
        candidates: by problem id.
        states: hidden states.
        labels: by problem id; a problem without labels is not in it.
    """

    candidates: Mapping[str, tuple[CandidateRecord, ...]] | None = None
    states: RecordedStates | None = None
    labels: Labels | None = None


@dataclass(frozen=True, slots=True, eq=False)
class RunMethods:
    """Methods by which a run does its work.

    Attributes:
        tests: requests for tests, and their records.
        rule: selection rule that picks.
        confidence_models: models of p_correct, p_gain and p_harm.
        elimination: rule that eliminates candidates; None eliminates none.
        checks_harm: True closes a problem if more tests would harm its pick.
        candidates: requests for candidates; None if they come from a source.
        predictor: predicts pass rates from hidden states; None predicts nothing.
        record_outputs: True records the outputs of the candidates.
        input_mutations: mutated inputs to execute beside each test.
        metered: True if the cap has a limit that metered quantities count towards.
        change_model: model of p_change.
    """

    tests: UnitTestGenerator
    rule: SelectionRule
    confidence_models: ConfidenceModels
    elimination: EliminationRule | None = None
    checks_harm: bool = True
    candidates: CandidateGenerator | None = None
    predictor: Predictor | None = None
    record_outputs: bool = True
    input_mutations: int = 0
    metered: bool = False
    change_model: ChangeModel = field(default_factory=default_change_model)


def make_dispatcher(
    problems: RunProblems, backend: Backend, sources: RunSources, methods: RunMethods
) -> Dispatcher:
    """The dispatcher of a run.

    Args:
        problems: problems of the run with their records.
        backend: carries out work.
        sources: what is taken instead of done.
        methods: how the rest is done.
    """
    open_work = OpenWork(backend)
    elimination = CandidateElimination(problems, methods.elimination)
    work = WorkOfRun(
        CandidateSampling(problems, open_work, sources.candidates, methods.candidates),
        Extraction(problems, open_work, sources.states, methods.predictor, metered=methods.metered),
        Labelling(problems, backend, open_work, sources.labels),
        Testing(
            problems,
            open_work,
            methods.tests,
            elimination,
            record_outputs=methods.record_outputs,
            input_mutations=methods.input_mutations,
        ),
    )
    assessor = Assessor(
        problems,
        elimination,
        methods.rule,
        methods.confidence_models,
        checks_harm=methods.checks_harm,
        change_model=methods.change_model,
    )
    return Dispatcher(problems, backend, open_work, work, assessor)

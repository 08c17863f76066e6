"""One compute budget for unit tests across many programming problems: the public Python API.

Names are loaded on first use, so that ``import testbudget`` costs next to nothing.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from testbudget.analysis.compare.settings import CompareSettings
    from testbudget.analysis.tune.settings import StudySettings
    from testbudget.api import (
        Selection,
        compare,
        import_votes,
        load,
        resume,
        run,
        select,
        tune,
    )
    from testbudget.difficulty.training import TrainingSettings
    from testbudget.executors.execution.limits import TestLimits
    from testbudget.predictors import predict, train
    from testbudget.rewards.comparison import Comparison, TextComparison
    from testbudget.rewards.errors import InfrastructureError, SandboxError, UserError
    from testbudget.rewards.problem import Verdict
    from testbudget.rewards.stdin_case import StdinCase
    from testbudget.runs import Run
    from testbudget.scheduler.job import Job
    from testbudget.trackers import run_figures, tracker
    from testbudget.training_rewards import RewardFunction, reward_function
    from testbudget.verdicts import judge

    __version__: str

__all__ = [
    "CompareSettings",
    "Comparison",
    "InfrastructureError",
    "Job",
    "RewardFunction",
    "Run",
    "SandboxError",
    "Selection",
    "StdinCase",
    "StudySettings",
    "TestLimits",
    "TextComparison",
    "TrainingSettings",
    "UserError",
    "Verdict",
    "__version__",
    "compare",
    "import_votes",
    "judge",
    "load",
    "predict",
    "resume",
    "reward_function",
    "run",
    "run_figures",
    "select",
    "tracker",
    "train",
    "tune",
]

_MODULES = {
    "CompareSettings": "analysis.compare.settings",
    "Comparison": "rewards.comparison",
    "InfrastructureError": "rewards.errors",
    "Job": "scheduler.job",
    "RewardFunction": "training_rewards",
    "SandboxError": "rewards.errors",
    "StdinCase": "rewards.stdin_case",
    "StudySettings": "analysis.tune.settings",
    "TestLimits": "executors.execution.limits",
    "TextComparison": "rewards.comparison",
    "TrainingSettings": "difficulty.training",
    "UserError": "rewards.errors",
    "judge": "verdicts",
    "predict": "predictors",
    "reward_function": "training_rewards",
    "Run": "runs",
    "run_figures": "trackers",
    "tracker": "trackers",
    "train": "predictors",
    "Verdict": "rewards.problem",
}
"""Modules of the names that are not in ``api``."""


def __getattr__(name: str) -> Any:
    """A public name, loaded on first use (PEP 562)."""
    if name == "__version__":
        from importlib.metadata import PackageNotFoundError, version

        try:
            return version("testbudget")
        except PackageNotFoundError:  # a checkout on the path
            return "0+unknown"
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES.get(name, 'api')}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

"""What a trial may try: nothing that a job file cannot say."""

import math
from dataclasses import dataclass
from typing import Any

import optuna

from policies import Uniform


@dataclass(frozen=True, slots=True)
class Choice:
    """What a trial tries.

    Attributes:
        selection: name of the rule that picks.
        policy: name of the policy.
        tests_per_problem: the cap, as a mean number of tests.
        min_tests: tests that every problem gets first.
        max_tests: most tests of a problem; None for all that there are.
    """

    selection: str
    policy: str
    tests_per_problem: float
    min_tests: int = 0
    max_tests: int | None = None

    @property
    def name(self) -> str:
        """Rule, policy and bounds in a few words."""
        bounds = [f"from {self.min_tests}"] if self.min_tests else []
        bounds += [f"to {self.max_tests}"] if self.max_tests is not None else []
        return " ".join([f"{self.selection}, {self.policy}", *bounds])


@dataclass(frozen=True, slots=True)
class Space:
    """All that may be tried. Parameters bear the names of the job's fields.

    Attributes:
        selections, policies: names.
        cap: tests per problem; None if caps are tried too.
        most_cap: the largest cap to try, tests per problem.
        most_tests: recorded tests of the problem that has most.
    """

    selections: tuple[str, ...]
    policies: tuple[str, ...]
    cap: float | None
    most_cap: int
    most_tests: int

    def suggest(self, trial: optuna.Trial) -> Choice:
        """A trial's choice."""
        cap = self.cap
        if cap is None:
            cap = trial.suggest_int("tests_per_problem", 1, self.most_cap, log=True)
        selection = trial.suggest_categorical("selection", self.selections)
        policy = trial.suggest_categorical("policy.name", self.policies)
        if policy == Uniform.name:  # no bounds change it
            return Choice(selection, policy, cap)
        most = least = trial.suggest_int("policy.min_tests", 0, math.floor(cap))
        if math.ceil(cap) < self.most_tests:
            most = trial.suggest_int("policy.max_tests", math.ceil(cap) + 1, self.most_tests, log=True)
        return Choice(selection, policy, cap, least, most if most < self.most_tests else None)

    def first(self) -> list[dict[str, Any]]:
        """Parameters to try first: equal budgets with each rule, so that nothing worse is ever chosen."""
        if self.cap is None:
            return []
        return [{"selection": rule, "policy.name": Uniform.name} for rule in self.selections]

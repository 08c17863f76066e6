"""What a trial may try: nothing that a job file cannot say."""

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import optuna
from numpy.typing import NDArray

from testbudget.policies.uniform import Uniform
from testbudget.rewards.errors import UserError
from testbudget.rewards.selection.registry import SELECTION_RULES, selection_rule
from testbudget.traces.records import QUANTITIES

"""What is searched, on which problems, and towards which aim."""

_SLOW_RULES = ("bayesian", "dawid-skene")

USUAL_SELECTIONS = tuple(name for name in SELECTION_RULES if name not in _SLOW_RULES)
"""All rules but those that take minutes to pick after every number of tests."""


@dataclass(frozen=True, slots=True)
class StudySettings:
    """What is searched. Exactly one of ``tests_per_problem`` and ``pareto`` is given.

    Attributes:
        tests_per_problem: the cap, as a mean number of tests; the most accurate choice is sought.
        pareto: the quantity of which little is to be spent, one of ``QUANTITIES``; choices are sought, caps
            among them, that nothing beats in both this and accuracy.
        selections: names of selection rules.
        policies: names; None for all that a job for this run can have.
        trials: how many choices to try; a study that is gone on with counts what it tried before.
        orders: random orders of each problem's tests to average over.
        held_out: share of the problems that nothing is learned from or chosen by.
        seed: of the split, the orders, what is learned, the search and the intervals.
    """

    tests_per_problem: float | None = None
    pareto: str | None = None
    selections: tuple[str, ...] = USUAL_SELECTIONS
    policies: tuple[str, ...] | None = None
    trials: int = 60
    orders: int = 20
    held_out: float = 0.3
    seed: int = 0

    def check(self) -> None:
        """Finds what can be no study, whatever the run.

        Raises:
            UserError: a value out of its range, or an unknown name.
        """
        if (self.tests_per_problem is None) == (self.pareto is None):
            raise UserError("a study needs exactly one of tests_per_problem and pareto")
        if self.pareto is not None and self.pareto not in QUANTITIES:
            raise UserError(f"pareto must be one of {', '.join(QUANTITIES)} but got '{self.pareto}'")
        for name, least in (("trials", 1), ("orders", 1), ("seed", 0)):
            if getattr(self, name) < least:
                raise UserError(f"{name} must be at least {least} but got {getattr(self, name)}")
        if not 0 < self.held_out < 1:
            raise UserError(f"held_out must be a share between 0 and 1 but got {self.held_out:g}")
        for name in self.selections:
            selection_rule(name)

    def identity(self) -> dict[str, Any]:
        """What makes it another study if it changes, as JSON gives it back."""
        fields = asdict(self)
        del fields["trials"]
        return dict(json.loads(json.dumps(fields)))


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


# ~ """Which problems are held out."""


_FEWEST = 2


def split_held_out(
    content_hashes: Sequence[str], held_out: float, seed: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Positions of the problems to learn from and choose by, and of those held out.

    What becomes of a problem hangs on the texts and the seed alone, and equal texts are on one side.

    Args:
        content_hashes: of all problems.
        held_out: share of the distinct problems.
        seed: another one holds out others.

    Raises:
        UserError: fewer than two problems on either side.
    """
    salted = {one: hashlib.sha256(f"held out:{seed}:{one}".encode()).digest() for one in content_hashes}
    ranked = sorted(salted, key=lambda one: salted[one])
    kept_apart = set(ranked[: round(held_out * len(ranked))])
    apart = np.array([one in kept_apart for one in content_hashes])
    if min(len(kept_apart), len(ranked) - len(kept_apart)) < _FEWEST:
        raise UserError(
            f"held_out must leave at least {_FEWEST} problems on either side but {held_out:g} of "
            f"{len(ranked)} are {len(kept_apart)}"
        )
    return np.flatnonzero(~apart), np.flatnonzero(apart)

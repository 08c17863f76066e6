"""What is searched, on which problems, and towards which aim."""

import json
from dataclasses import asdict, dataclass
from typing import Any

from rewards.errors import UserError
from rewards.selection import SELECTION_RULES, selection_rule
from scheduler.ledger import QUANTITIES

_SLOW_RULES = ("bayesian", "dawid-skene")

USUAL_SELECTIONS = tuple(name for name in SELECTION_RULES if name not in _SLOW_RULES)
"""All rules but those that take minutes to pick after every number of tests."""


@dataclass(frozen=True, slots=True)
class Settings:
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

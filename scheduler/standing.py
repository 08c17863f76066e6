"""How the pick of each problem stands while its tests come in."""

from collections.abc import Sequence

from rewards.confidence import Calibration, fold_of
from rewards.confidence.judging import probability_of_pick
from rewards.evidence import Evidence
from rewards.selection import SelectionRule
from scheduler.journal import Journal
from scheduler.records import evidence_of
from scheduler.solving import Solving


class Standing:
    """What a problem's own tests say of its pick so far.

    What other problems' tests say of it is left out: that depends on what else has been run by now, and a
    resumed run is to see what an undisturbed one saw.

    Args:
        problems: positions in this list are what the methods speak of.
        journal: has what was seen of them.
        rule: picks.
        calibration: what signs of a good pick are worth.
    """

    def __init__(
        self, problems: Sequence[Solving], journal: Journal, rule: SelectionRule, calibration: Calibration
    ) -> None:
        self._problems = problems
        self._journal = journal
        self._rule = rule
        self._calibration = calibration

    def doubt(self, position: int) -> float:
        """Chance that the candidate that would be picked now is wrong."""
        solving = self._problems[position]
        evidence = evidence_so_far(solving, self._journal)
        winners = self._rule.winners(evidence)
        fold = fold_of(solving.problem.content_hash)
        return 1 - probability_of_pick(evidence, self._rule, winners, self._calibration, fold)


def evidence_so_far(solving: Solving, journal: Journal) -> Evidence:
    """What a problem's own tests have shown by now."""
    problem = solving.problem.id
    return evidence_of(journal.verdicts[problem], solving.distinct, journal.behaviour_of(problem))

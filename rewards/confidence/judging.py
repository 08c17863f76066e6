"""Probabilities without ground truth: that a pick is right, and that each candidate is."""

import math

import numpy as np
from numpy.typing import NDArray

from rewards.confidence.calibration import Calibration, Family, Question, family_of
from rewards.confidence.signs import of_winners, signs
from rewards.evidence import Evidence
from rewards.selection.base import SelectionRule


def probability_of_pick(
    evidence: Evidence,
    rule: SelectionRule,
    winners: NDArray[np.intp],
    calibration: Calibration,
    fold: int,
    pass_rate: float = math.nan,
) -> float:
    """Chance that a pick drawn evenly from the tied winners is right.

    Args:
        evidence: of one problem.
        rule, winners: who is picked, and by what.
        calibration: what signs are worth.
        fold: of the problem.
        pass_rate: what was predicted of the problem; NaN if nothing was.
    """
    evidence = calibration.readable(evidence)
    won = np.zeros((1, evidence.votes.candidates), np.bool_)
    won[0, winners] = True
    of_pick = of_winners(signs(evidence, [evidence.votes.tests], pass_rate), won)
    model = calibration.model(Question.PICK, family_of(rule, evidence), fold)
    return float(model.probability(of_pick)[0])


def probability_of_each(
    evidence: Evidence, calibration: Calibration, fold: int, pass_rate: float = math.nan
) -> NDArray[np.float64]:
    """Chance that each candidate is right, shape (candidates,); see :func:`probability_of_pick`."""
    evidence = calibration.readable(evidence)
    family = Family.VOTES if evidence.outputs is None else Family.BOTH
    of_all = signs(evidence, [evidence.votes.tests], pass_rate)[0]
    return calibration.model(Question.CANDIDATE, family, fold).probability(of_all)

"""How sure one can be of a pick: probabilities learned from finished runs, in plain NumPy.

``signs`` says what a candidate has to show, ``Calibration`` turns it into probabilities, ``fitting`` learns
them from labelled problems, and ``SHIPPED`` is what was learned from the recorded run.
"""

from rewards.confidence.calibration import Calibration, Family, Question, fold_of
from rewards.confidence.shipped import SHIPPED

__all__ = ["SHIPPED", "Calibration", "Family", "Question", "fold_of"]

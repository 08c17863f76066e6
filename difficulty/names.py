"""Names of prediction methods and of the predictors of a comparison.

They are apart from the classes so that a help text or a check of a setting does not load NumPy or torch.
"""

METHOD_NAMES = ("probe", "linear", "neighbours", "text", "constant")
"""All prediction methods, in the order of reports; the first is the default."""

STORABLE_METHODS = ("probe", "linear")
"""Methods that a trained model can consist of."""

PREDICTOR_NAMES = ("none", "learned", "oracle", "noisy:R", "noisy-calibrated:R")
"""Sources of pass rates in a comparison; R is a rank correlation from 0 to 1.

- ``none``: the mean measured pass rate, the same for every problem.
- ``learned``: learned from other problems.
- ``oracle``: the measured pass rates.
- ``noisy:R``: the measured pass rates, permuted to rank correlation R with themselves.
- ``noisy-calibrated:R``: the same ranks, each with the mean measured pass rate that it implies.
"""

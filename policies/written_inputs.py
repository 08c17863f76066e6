"""Value of written inputs against that of a problem's next test."""

WORTH = (0.0, 1.0, 0.9, 1.2, 1.0)
"""Gain by the written inputs of a problem after 0, 1, 2, ... tests, divided by the gain of its next test.

Written inputs show which candidates differ, as the inputs of ten further tests do. TODO
"""


def tests_before_inputs(price: float) -> int | None:
    """Smallest number of tests after which written inputs are worth their price; None if there is none.

    Args:
        price: price of the inputs of a problem, in tests.
    """
    return next((tests for tests, worth in enumerate(WORTH) if worth >= price), None)

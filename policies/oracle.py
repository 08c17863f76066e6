"""What an allocator could reach that knew beforehand what tests will do for each problem."""

from typing import ClassVar, Unpack

import numpy as np
from numpy.typing import NDArray

from policies.base import Limits
from policies.sloped import Sloped


class OracleCurves(Sloped):
    """Knows each problem's own accuracy after every number of tests; stops where that rises no more.

    A ceiling for comparisons: the curves take the ground truth. It knows means over random tests, not
    which tests will come. (An oracle of pass rates alone is :class:`policies.Greedy` with the truth.)

    Args:
        problems: number of problems.
        curves: shape (problems, tests + 1), accuracy of the pick after so many tests; NaN behind the last
            test of a problem that has fewer.
        **limits: as for :class:`Policy`.

    Raises:
        ValueError: for curves of another shape.
    """

    name: ClassVar[str] = "oracle-curves"
    static: ClassVar[bool] = True
    uses_curves: ClassVar[bool] = True

    def __init__(self, problems: int, curves: NDArray[np.floating], **limits: Unpack[Limits]) -> None:
        if len(curves) != problems:
            raise ValueError(
                f"there must be one curve for each of {problems} problems but got {len(curves)}"
            )
        super().__init__(problems, curves, np.arange(problems), **limits)

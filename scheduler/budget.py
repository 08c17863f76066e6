"""Spending under a cap. Work is reserved at its max cost before it starts: spent + reserved <= cap.

When the work ends, its actual cost is settled and the rest of the reservation is free again. A reservation
that does not fit is refused, so the cap holds whatever fails and however much is in flight. Amounts are
whole millionths, rounded up, so that rounding never passes the cap.
"""

import math
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from testbudget.rewards.errors import UserError
from testbudget.traces.records import Cost

_MILLIONTHS = 1_000_000


@dataclass(frozen=True, slots=True)
class Cap:
    """Limits on a whole run. All limits that are set hold at once.

    Attributes:
        limits: upper limit by dimension, a subset of ``traces.records.QUANTITIES`` and ``usd``.
        prices: US dollars per unit of each quantity; 0 for a quantity that is not named.
    """

    limits: Mapping[str, float]
    prices: Mapping[str, float] = field(default_factory=dict)


class CapExceededError(Exception):
    """A reservation that does not fit under the cap.

    Attributes:
        dimension: the dimension whose limit refused it.
        limit: the limit in that dimension.
        usage: the amount that is spent or reserved.
        requested: the amount of the refused reservation.
    """

    def __init__(self, dimension: str, limit: float, usage: float, requested: float) -> None:
        super().__init__(
            f"cap.{dimension} is {limit:g} and {usage:g} is taken: {requested:g} more do not fit"
        )
        self.dimension, self.limit, self.usage, self.requested = dimension, limit, usage, requested


class UnknownCostError(UserError):
    """An unmeasured cost in a dimension that has a limit."""

    def __init__(self, dimension: str) -> None:
        super().__init__(f"cap.{dimension} cannot be kept: the cost of this work in {dimension} is unknown")


class OverspentError(Exception):
    """Work that cost more than its reservation: its max cost was wrong."""

    def __init__(self, dimension: str, reserved: float, actual: float) -> None:
        super().__init__(f"{actual:g} {dimension} were spent but only {reserved:g} were reserved")


@dataclass(frozen=True, slots=True, eq=False)
class Reservation:
    """An amount set aside, for one settlement or one release.

    Attributes:
        max_cost: the amount.
    """

    max_cost: Cost


class Budget:
    """Spending under a cap, by reservation. Safe to use from several threads.

    Args:
        cap: the limits; quantities without a limit are counted too.
        spent: cost of the earlier part of a resumed run.
    """

    def __init__(self, cap: Cap, spent: Cost | None = None) -> None:
        self._cap = cap
        self._limits = {d: math.floor(_millionths(limit)) for d, limit in cap.limits.items()}
        self._spent = spent or Cost()
        self._taken = self._units(self._spent)
        self._open: dict[Reservation, dict[str, int]] = {}
        self._lock = threading.Lock()

    @property
    def cap(self) -> Cap:
        """The limits."""
        return self._cap

    @property
    def spent(self) -> Cost:
        """Sum of all settled costs."""
        return self._spent

    @property
    def spent_usd(self) -> float:
        """Sum of all settled costs in US dollars, at the cap's prices."""
        return _dollars(self._spent, self._cap.prices)

    def reserve(self, max_cost: Cost) -> Reservation:
        """Set the max cost of a piece of work aside.

        Raises:
            CapExceededError: it does not fit; nothing changes.
            UnknownCostError: it is NaN in a dimension with a limit; nothing changes.
        """
        with self._lock:
            units = self._units(max_cost)
            for dimension, limit in self._limits.items():
                taken = self._taken[dimension]
                if taken + units[dimension] > limit:
                    raise CapExceededError(
                        dimension, limit / _MILLIONTHS, taken / _MILLIONTHS, units[dimension] / _MILLIONTHS
                    )
            reservation = Reservation(max_cost)
            self._open[reservation] = units
            self._take(units, +1)
            return reservation

    def settle(self, reservation: Reservation, actual: Cost) -> None:
        """Replace a reservation by the actual cost.

        Raises:
            KeyError: the reservation was settled or released before.
            OverspentError: the actual cost exceeds the reserved one in a dimension with a limit.
            UnknownCostError: it is NaN in a dimension with a limit.
        """
        with self._lock:
            reserved, units = self._open[reservation], self._units(actual)
            for dimension in self._limits:
                if units[dimension] > reserved[dimension]:
                    raise OverspentError(
                        dimension, reserved[dimension] / _MILLIONTHS, units[dimension] / _MILLIONTHS
                    )
            self._take(self._open.pop(reservation), -1)
            self._take(units, +1)
            self._spent = self._spent + actual

    def release(self, reservation: Reservation) -> None:
        """Free a reservation without spending.

        Raises:
            KeyError: the reservation was settled or released before.
        """
        with self._lock:
            self._take(self._open.pop(reservation), -1)

    def remaining(self, max_cost: Cost) -> int:
        """Number of times that a cost fits into the amount neither spent nor reserved.

        A cost of 0 in every dimension with a limit fits ``2**31 - 1`` times.
        """
        with self._lock:
            units = self._units(max_cost)
            fits = [
                (limit - self._taken[dimension]) // units[dimension]
                for dimension, limit in self._limits.items()
                if units[dimension] > 0
            ]
        return max(0, min(fits, default=2**31 - 1))

    def _take(self, units: Mapping[str, int], sign: int) -> None:
        for dimension, amount in units.items():
            self._taken[dimension] += sign * amount

    def _units(self, cost: Cost) -> dict[str, int]:
        units = {}
        for dimension in self._limits:
            amount = _dollars(cost, self._cap.prices) if dimension == "usd" else getattr(cost, dimension)
            if math.isnan(amount):
                raise UnknownCostError(dimension)
            units[dimension] = math.ceil(_millionths(amount))
        return units


def _millionths(amount: float) -> float:
    # Rounded to a thousandth of a unit, so that 0.1 + 0.2 fits under a cap of 0.3.
    return round(amount * _MILLIONTHS, 3)


def _dollars(cost: Cost, prices: Mapping[str, float]) -> float:
    return float(sum(price * getattr(cost, quantity) for quantity, price in prices.items() if price > 0))

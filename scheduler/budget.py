"""The ledger: sole owner of what was spent, and the reason why spending never passes the cap.

Work is paid for in two steps. Before it starts, its worst case is reserved; when it ends, the actual
cost is settled and the rest of the reservation is free again. A reservation that does not fit beside
what is spent and reserved already is refused, so the cap holds whatever fails and however much is in
flight. Amounts are kept as whole millionths, so that no rounding can creep past the cap.
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
    """Limits on a whole run; any subset may be set, and all that are set hold at once.

    Attributes:
        limits: upper limit by dimension, a subset of ``DIMENSIONS``.
        prices: US dollars per unit of each quantity; what is not named is free.
    """

    limits: Mapping[str, float]
    prices: Mapping[str, float] = field(default_factory=dict)


class CapExceededError(Exception):
    """A reservation that does not fit under the cap.

    Attributes:
        dimension: the cap that refused it.
        limit, usage, requested: the cap, what is spent and reserved of it, and what was asked for.
    """

    def __init__(self, dimension: str, limit: float, usage: float, requested: float) -> None:
        super().__init__(
            f"cap.{dimension} is {limit:g} and {usage:g} is taken: {requested:g} more do not fit"
        )
        self.dimension, self.limit, self.usage, self.requested = dimension, limit, usage, requested


class UnknownCostError(UserError):
    """A cost that nobody measured, in a dimension that the user capped."""

    def __init__(self, dimension: str) -> None:
        super().__init__(f"cap.{dimension} cannot be kept: what this work costs in {dimension} is unknown")


class OverspentError(Exception):
    """Work that cost more than the worst case reserved for it: the bound was wrong."""

    def __init__(self, dimension: str, reserved: float, actual: float) -> None:
        super().__init__(f"{actual:g} {dimension} were spent but only {reserved:g} were reserved")


@dataclass(frozen=True, slots=True, eq=False)
class Reservation:
    """A promise of the ledger, good for one settlement or one release."""

    worst: Cost


class Budget:
    """Spending against a cap, by reservation. Safe to use from several threads.

    Args:
        cap: the limits; dimensions without one are counted all the same.
        spent: what an earlier part of the same run has spent already.
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
        """The limits that this ledger keeps."""
        return self._cap

    @property
    def spent(self) -> Cost:
        """All that was settled."""
        return self._spent

    @property
    def spent_usd(self) -> float:
        """What was settled, at the cap's prices."""
        return _dollars(self._spent, self._cap.prices)

    def reserve(self, worst: Cost) -> Reservation:
        """Sets the worst case of a piece of work aside.

        Raises:
            CapExceededError: it does not fit beside what is spent and reserved; nothing changes.
            UnknownCostError: it is not known in a capped dimension; nothing changes.
        """
        with self._lock:
            units = self._units(worst)
            for dimension, limit in self._limits.items():
                taken = self._taken[dimension]
                if taken + units[dimension] > limit:
                    raise CapExceededError(
                        dimension, limit / _MILLIONTHS, taken / _MILLIONTHS, units[dimension] / _MILLIONTHS
                    )
            reservation = Reservation(worst)
            self._open[reservation] = units
            self._take(units, +1)
            return reservation

    def settle(self, reservation: Reservation, actual: Cost) -> None:
        """Turns a reservation into spending of the actual cost.

        Raises:
            KeyError: the reservation was settled or released before.
            OverspentError: the actual cost is above the reserved one in a capped dimension.
            UnknownCostError: it is not known in a capped dimension.
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
        """Gives a reservation back unspent.

        Raises:
            KeyError: the reservation was settled or released before.
        """
        with self._lock:
            self._take(self._open.pop(reservation), -1)

    def room(self, worst: Cost) -> int:
        """How many times a cost fits now into what is neither spent nor reserved.

        A cost of nothing in every capped dimension fits without end; the answer is then ``2**31 - 1``.
        """
        with self._lock:
            units = self._units(worst)
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
    # Rounded below what is counted, so that 0.1 + 0.2 against a cap of 0.3 is what it looks like.
    return round(amount * _MILLIONTHS, 3)


def _dollars(cost: Cost, prices: Mapping[str, float]) -> float:
    return float(sum(price * getattr(cost, quantity) for quantity, price in prices.items() if price > 0))

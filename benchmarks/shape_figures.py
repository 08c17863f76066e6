"""Pairs per second of our runner and of other methods on blocks of one shape, and tables of them."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from block_shapes import CANDIDATES, TESTS, BlockShape

MIN_CPU_SECONDS = 0.01
"""The kernel counts CPU time in ticks of this length."""


@dataclass(slots=True)
class PairTimes:
    """Time of some pairs: their number, seconds on the clock, and CPU-seconds of all processes."""

    pairs: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0

    def add(self, pairs: int, seconds: float, cpu_seconds: float) -> None:
        """Add further pairs."""
        self.pairs += pairs
        self.seconds += seconds
        self.cpu_seconds += cpu_seconds

    def seconds_for(self, pairs: int, *, by_cpu: bool) -> float:
        """Seconds that a number of such pairs take."""
        total = max(self.cpu_seconds, MIN_CPU_SECONDS) if by_cpu else self.seconds
        return pairs * total / self.pairs if pairs else 0.0


@dataclass(slots=True)
class ShapeFigures:
    """Figures of one shape.

    Attributes:
        ours: all pairs of all blocks.
        looping_pairs: those of them with a looping candidate.
        others: pairs that return, a sample, by method.
        looping: pairs that never return, by method; measured once for all shapes.
        verdicts: of our runner, by name.
        agreeing, only_ours, only_theirs: pairs of the samples that both we and CodeRM's way pass or neither
            does, and that only one of us passes.
    """

    ours: PairTimes = field(default_factory=PairTimes)
    looping_pairs: int = 0
    others: dict[str, PairTimes] = field(default_factory=dict)
    looping: Mapping[str, PairTimes] = field(default_factory=dict)
    verdicts: Counter[str] = field(default_factory=Counter)
    agreeing: int = 0
    only_ours: int = 0
    only_theirs: int = 0

    def rate(self, method: str | None = None, *, by_cpu: bool = False) -> float:
        """Pairs per second of our runner, or of another method on the same pairs.

        Another method runs every pair by itself. So its time on all pairs follows from that of a sample of
        the pairs that return, and from that of pairs that never do.
        """
        if method is None:
            return self.ours.pairs / self.ours.seconds_for(self.ours.pairs, by_cpu=by_cpu)
        seconds = self.others[method].seconds_for(self.ours.pairs - self.looping_pairs, by_cpu=by_cpu)
        if self.looping_pairs:
            seconds += self.looping[method].seconds_for(self.looping_pairs, by_cpu=by_cpu)
        return self.ours.pairs / seconds

    def times(self, method: str, *, by_cpu: bool = False) -> float:
        """Factor by which our runner is faster than another method."""
        return self.rate(by_cpu=by_cpu) / self.rate(method, by_cpu=by_cpu)


FiguresByShape = Mapping[BlockShape, ShapeFigures]


def shape_tables(figures: FiguresByShape, methods: Sequence[str]) -> Iterator[str]:
    """A table for functions and for objects, and for each share of looping candidates."""
    kinds = dict.fromkeys((shape.objects, shape.looping) for shape in figures)
    for objects, looping in kinds:
        name = "objects" if objects else "functions"
        yield f"{name}, {looping:.0%} looping: pairs/s, and by how much faster than " + ", ".join(methods)
        yield f"{'candidates':>10}" + "".join(f"{tests:>24} tests" for tests in TESTS)
        for candidates in CANDIDATES:
            shapes = [BlockShape(candidates, tests, objects, looping) for tests in TESTS]
            if any(shape in figures for shape in shapes):
                cells = (_cell(figures.get(shape), methods) for shape in shapes)
                yield f"{candidates:>10}" + "".join(f"{cell:>30}" for cell in cells)
        yield ""


def shape_figures_json(figures: FiguresByShape, methods: Sequence[str]) -> dict[str, Any]:
    """All figures, by quantity and name of the shape."""
    found: dict[str, Any] = {
        "pairs_per_second": {shape.name: round(cell.rate(), 1) for shape, cell in figures.items()},
        "pairs_per_cpu_second": {
            shape.name: round(cell.rate(by_cpu=True), 1) for shape, cell in figures.items()
        },
    }
    for method in methods:
        for by_cpu in (False, True):
            found[f"times_{method}" + ("_by_cpu" if by_cpu else "")] = {
                shape.name: round(cell.times(method, by_cpu=by_cpu), 2) for shape, cell in figures.items()
            }
    return found


def _cell(figures: ShapeFigures | None, methods: Sequence[str]) -> str:
    if figures is None:
        return "-"
    return f"{figures.rate():,.0f}" + "".join(f" {figures.times(method):8.1f}x" for method in methods)

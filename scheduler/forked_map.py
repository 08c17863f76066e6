"""Map over many items in forked processes, which inherit what the function reads."""

import multiprocessing
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any, TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")
_inherited: list[Callable[[Any], Any]] = []


def forked_map(
    function: Callable[[_Item], _Result], items: Sequence[_Item], *, at_once: int
) -> Iterator[_Result]:
    """Results of a function of each item, in their order.

    Each CPU core that this process may use takes ``at_once`` neighbouring items at a time. A process with
    several threads is not forked, since a thread may hold a lock, nor is one that has loaded Ray, whose
    threads Python does not count; the results are the same without.

    Args:
        function: function of an item; its results are pickled.
        items: the items.
        at_once: items that one process takes at a time.
    """
    workers = min(len(os.sched_getaffinity(0)), -(-len(items) // at_once))
    if workers < 2 or threading.active_count() > 1 or "ray" in sys.modules:
        yield from map(function, items)
        return
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(workers, context, _inherited.append, (function,)) as pool:
        yield from pool.map(_call, items, chunksize=at_once)


def _call(item: Any) -> Any:
    """In a forked process: result of the function that it has inherited."""
    return _inherited[-1](item)

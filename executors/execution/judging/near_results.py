"""Results that count as equal within the tolerance of a comparison, merged before they are recorded.

The results of one call are put into groups by single linkage (`rewards.near_numbers`), so that candidates
whose outputs differ in the last digits form one output group. Each group is recorded as its first member in
the order of the texts. Nothing is merged without a tolerance. Verdicts do not depend on it.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from testbudget.executors.execution.judging.pair_table import Call
from testbudget.executors.execution.languages.messages import ResultKind
from testbudget.executors.execution.stdin_calls import input_of
from testbudget.executors.execution.values import LONGEST_TEXT, UNORDERED_TAGS
from testbudget.rewards.comparison import Comparison
from testbudget.rewards.near_numbers import Part, linked_groups
from testbudget.rewards.printed_text import text_parts

_EXACT = 2**53  # larger numbers are compared as texts


def merged_results(
    comparison: Comparison, paths: Iterable[Sequence[Call]], calls: Sequence[str], results: Sequence[str]
) -> Mapping[Call, Call]:
    """Replacement of each call and result whose result is recorded as another one.

    Args:
        comparison: holds the tolerances.
        paths: calls with results that candidates have made.
        calls, results: texts of all calls and results.
    """
    if not comparison.has_tolerance:
        return {}
    results_of: defaultdict[int, set[int]] = defaultdict(set)
    for path in paths:
        for call, result in path:
            results_of[call].add(result)
    merged = {}
    for call, found in results_of.items():
        ordered = sorted(found, key=results.__getitem__)
        printed = input_of(calls[call]) is not None
        parts = [_result_parts(comparison, results[result], printed=printed) for result in ordered]
        first: dict[Any, int] = {}
        for result, key in zip(ordered, linked_groups(comparison, parts), strict=True):
            if first.setdefault(key, result) != result:
                merged[call, result] = call, first[key]
    return merged


def _result_parts(comparison: Comparison, text: str, *, printed: bool) -> Sequence[Part]:
    """Parts of a result; the text alone if it is no value, or too long."""
    if len(text) > LONGEST_TEXT:
        return [text]
    try:
        match json.loads(text):
            case [ResultKind.RETURNED, str(output)] if printed:
                return [*text_parts(comparison, output)]
            case [ResultKind.RETURNED, value, *_] if not printed:
                return [*_value_parts(value)]
    except (ValueError, RecursionError):  # a candidate may write anything
        pass
    return [text]


def _value_parts(value: Any) -> Iterator[Part]:
    """Numbers of a value in the notation of ``execution/values.py``, and what is around them."""
    if isinstance(value, int | float):  # also True, which counts as 1
        yield value if abs(value) <= _EXACT else repr(value)  # also if it is not a number
    elif isinstance(value, list):
        yield "["
        for item in value:
            yield from _value_parts(item)
        yield "]"
    elif isinstance(value, dict) and len(value) == 1:
        ((tag, inner),) = value.items()
        yield f"{{{tag}"
        if tag in UNORDERED_TAGS and isinstance(inner, list):
            for parts in sorted(([*_value_parts(item)] for item in inner), key=_sorting_key):
                yield from parts
        else:
            yield from _value_parts(inner)
        yield "}"
    else:
        yield json.dumps(value)


def _sorting_key(parts: Sequence[Part]) -> list[tuple[bool, Part]]:
    return [(isinstance(part, str), part) for part in parts]

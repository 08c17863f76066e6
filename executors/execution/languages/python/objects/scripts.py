"""Scripts: requests that one object was made from, to be repeated in a process that has seen nothing else.

A judge keeps the requests that it has made. For two objects that were compared, it makes a script for each:
the requests that the object was made from, and nothing in place of all others. The states at their ends
must be equal. They must differ once plain data that one of them was made from is changed.
"""

from __future__ import annotations

import copy
import itertools
import json
import random
from collections.abc import Container, Iterator
from typing import Any

from testbudget.executors.execution.languages.python.objects import request_leaves
from testbudget.executors.execution.languages.python.objects.logged_request import (
    MAX_BYTES,
    LoggedRequest,
)
from testbudget.executors.execution.languages.python.objects.settings import plain_pieces

_FIRST_VALUE = {"call": 3, "meth": 4, "sp": 3, "set": 3, "lib": 3}
_WITH_KEYWORDS = frozenset({"call", "meth", "lib"})
_NESTED = 3  # items of a path into a container in an answer
_MAX_CHANGES = 8
_MAX_EXCHANGES = 4


class NoScriptError(Exception):
    """Error for an object that cannot be made again from requests alone."""


class RequestLog:
    """Requests that a judge has made, in order; None for those that no script repeats.

    Args:
        seed: text that the candidate does not know, and that is always the same for a test. What is changed
            in a script is drawn from it.
    """

    def __init__(self, seed: bytes) -> None:
        self._random = random.Random(seed)
        self._requests: list[LoggedRequest | None] = []
        self._made: dict[int, list[int]] = {}
        self._members: dict[int, list[int]] = {}
        self._enumerated: set[int] = set()
        self._values: set[Any] = set()
        self._searched = 0
        self._origins: dict[int, int] = {}
        self._uses: dict[int, list[int]] = {}
        self._indexed = 0

    def __len__(self) -> int:
        return len(self._requests)

    def begin(self, text: bytes | None) -> LoggedRequest | None:
        """Log a request; None for one that no script repeats."""
        entry = None
        if text is not None and len(text) < MAX_BYTES:
            entry = LoggedRequest([text])
        self._requests.append(entry)
        return entry

    def plain_values(self) -> set[Any]:
        """Scalars that the test has handed over so far, and the characters of its texts."""
        for place in range(self._searched, len(self._requests)):
            pending = [self._parsed(place)[0]] if self._requests[place] is not None else []
            while pending:
                one = pending.pop()
                if type(one) is list:
                    pending += one
                elif type(one) in {int, float, str}:
                    self._values.update(one if type(one) is str else (), (one,))
        self._searched = len(self._requests)
        return self._values

    def is_made_from(self, number: int, contents: Container[Any]) -> bool:
        """Return whether all plain data of the call that has made an object is in its content."""
        origin = self._origin(number)
        body = self._parsed(origin)[0]
        return all(request_leaves.value_at(body, path) in contents for _, path in self._leaves([origin]))

    def makings(self, number: int) -> list[int]:
        """Positions of the calls that have returned an object."""
        return self._made.get(number, [])

    def note_made(self, number: int, position: int) -> None:
        """Note that a call has returned an object."""
        self._made.setdefault(number, []).append(position)

    def equality(self, one: int, other: int, position: int) -> tuple[list[Any], list[Any]]:
        """Scripts for two objects that were equal.

        Args:
            one: number of an object.
            other: number of another one.
            position: number of requests made before the comparison.

        Returns:
            Pair of scripts whose states must be equal, and pairs whose states must differ; none of these if
            both were made from no plain data.

        Raises:
            NoScriptError: an object cannot be made again.
        """
        first, second = self._closure({one}, position, other), self._closure({other}, position, one)
        places = [number for number in (one, other) if self._leaves_of_origin(number, position)]
        if not places:
            return [self._script(first, {"number": one}), self._script(second, {"number": other})], []
        changed = max(places, key=lambda number: self._weight(number, position))
        needed = second if changed == other else first
        return self._pairs([first, second], [one, other], needed, changed, position)

    def same_object(self, number: int, position: int) -> tuple[list[Any], list[Any]] | None:
        """Scripts for one object that several calls have returned; None if there is nothing to show.

        Raises:
            NoScriptError: as for ``equality``.
        """
        makings = [place for place in self.makings(number) if place < position]
        named = [place for place in self._members.get(number, ()) if place < position]
        if named:
            return self._same_member(number, makings, named)
        if len(makings) < 2:
            return None
        first, last = makings[0], makings[-1]
        inputs = self._closure(self._used_by(last) - {number}, last, None)
        if number in self._used_by(last) or self._parsed(first)[0] == self._parsed(last)[0]:
            return None
        if first in inputs:
            return self._same_of_one(last, inputs | {last})
        before = self._closure(self._used_by(first), first, None) | {first}
        after = inputs | {last}
        one, two = self._script(before, {"result": first}), self._script(after, {"result": last})
        leaves = list(self._leaves([last]))
        if not leaves:
            raise NoScriptError
        unequal = [[two, self._script(after, {"result": last}, change)] for change in self._changes(leaves)]
        return [one, two], unequal

    def constructed_again(self, number: int, last: int) -> tuple[list[Any], list[Any]] | None:
        """Scripts for an object that a constructor has returned after a container held it; else None.

        Raises:
            NoScriptError: the object cannot be made again.
        """
        first = self._origin(number)
        path = request_leaves.path_to(self._entry(first).answer, number)
        if first in {0, last} or len(path) < _NESTED:
            return None
        before, after = (self._closure(self._used_by(one), one, None) | {one} for one in (first, last))
        one = self._script(before, {"result": first, "path": path})
        wanted = {"result": last, "path": request_leaves.path_to(self._entry(last).answer, number)}
        two = self._script(after, wanted)
        return [one, two], [
            [two, self._script(after, wanted, change)]
            for change in self._changes(list(self._leaves([last])))
        ]

    def note_member(self, number: int, position: int, *, of_enumeration: bool) -> None:
        """Note that a request has named a member of a class."""
        self._members.setdefault(number, []).append(position)
        if of_enumeration:
            self._enumerated.add(number)

    def is_member(self, number: int) -> bool:
        """Return whether a request has named an object as a member of a class."""
        return number in self._members

    def _same_member(
        self, number: int, makings: list[int], named: list[int]
    ) -> tuple[list[Any], list[Any]] | None:
        """Scripts for a member of a class; in an enumeration, its state holds what it was named by."""
        last = named[-1]
        others = [place for place in [*named, *makings] if place not in named[-1:]]
        if not others:
            return None
        body = self._parsed(last)[0]
        literals = [request_leaves.value_at(body, path) for _, path in self._leaves([last])]
        if body[0] == "get":
            literals = [body[2]] if number in self._enumerated else []
        one = self._script(
            self._closure(self._used_by(last), last, None) | {last}, {"result": last, "literals": literals}
        )
        place = others[-1]
        other = self._script(self._closure(self._used_by(place), place, None) | {place}, {"result": place})
        return [one, other], []

    def _same_of_one(self, last: int, needed: set[int]) -> tuple[list[Any], list[Any]] | None:
        """Scripts for an object that two requests to one object have returned; another may return none."""
        leaves = list(self._leaves([last]))
        if not leaves:
            return None
        base = self._script(needed, {"result": last})
        unequal = [
            [base, self._script(needed, {"result": last, "or": "answer"}, change)]
            for change in self._changes(leaves)
        ]
        return [base, base], unequal

    def untaught(self, position: int) -> list[Any]:
        """Scripts whose texts are equal if the answers from a position on need no request that is skipped.

        The first one tells the answers that the candidate gave; the second one repeats all requests but
        those that no script repeats.

        Raises:
            NoScriptError: a request cannot be repeated, or the test has answered some of them.
        """
        places = {place for place in range(1, len(self._requests)) if self._requests[place] is not None}
        later = sorted(place for place in places if place >= position)
        if not later:
            return []
        answers = [self._entry(place).answer for place in later]
        told = json.dumps([[], {"text": answers_text(answers)}])
        return [told, self._script(places, {"answers": later})]

    def _entry(self, place: int) -> LoggedRequest:
        entry = self._requests[place]
        if entry is None:
            raise NoScriptError
        return entry

    def _pairs(
        self, needed: list[set[int]], numbers: list[int], altered: set[int], changed: int, position: int
    ) -> tuple[list[Any], list[Any]]:
        pair = [
            self._script(places, {"number": number}) for places, number in zip(needed, numbers, strict=True)
        ]
        leaves = self._leaves_of_origin(changed, position)
        base = pair[numbers.index(changed)]
        unequal = [
            [base, self._script(altered, {"number": changed}, change)] for change in self._changes(leaves)
        ]
        return pair, unequal

    def _closure(self, numbers: set[int], position: int, without: int | None) -> set[int]:
        """Positions of the requests that objects were made from and changed by."""
        needed: set[int] = set()
        pending, known = list(numbers), set(numbers)
        while pending:
            number = pending.pop()
            origin = self._origin(number)
            uses = {
                place
                for place in self._touching(number, position, classes=origin == 0)
                if without is None or without not in self._mentioned(place)
            }
            for place in {origin, *uses} - needed:
                needed.add(place)
                for inner in self._used_by(place) - known:
                    known.add(inner)
                    pending.append(inner)
        return needed

    def _touching(self, number: int, position: int, *, classes: bool) -> Iterator[int]:
        self._index()
        for place in self._uses.get(number, ()):
            if 0 < place < position:
                body = self._parsed(place)[0]
                if not classes or (body[0] in {"set", "del"} and body[1] == number):
                    yield place

    def _origin(self, number: int) -> int:
        self._index()
        if number not in self._origins:
            raise NoScriptError
        return self._origins[number]

    def _index(self) -> None:
        """Find where objects were made and used, in the requests that are not indexed yet."""
        for place in range(self._indexed, len(self._requests)):
            entry = self._requests[place]
            if entry is None:
                continue
            for number in request_leaves.defined(entry.answer):
                self._origins.setdefault(number, place)
            for number in self._used_by(place):
                self._uses.setdefault(number, []).append(place)
        self._indexed = len(self._requests)

    def _parsed(self, place: int) -> list[Any]:
        entry = self._entry(place)
        if type(entry.message[0]) is bytes:
            entry.message = json.loads(entry.message[0])
        return entry.message

    def _used_by(self, place: int) -> set[int]:
        body = self._parsed(place)[0]
        used = set(request_leaves.numbers_after(body, "p"))
        if body[0] in {"call", "meth", "get", "set", "del", "sp", "await"}:
            used.add(body[1])
        return used

    def _mentioned(self, place: int) -> set[int]:
        entry = self._requests[place]
        found = [] if entry is None else request_leaves.defined(entry.answer)
        return self._used_by(place).union(found)

    def _weight(self, number: int, position: int) -> tuple[bool, bool, int]:
        """Preference for an object whose plain data is changed: made by a call, and as made, from much."""
        origin = self._origin(number)
        is_called = self._parsed(origin)[0][0] == "call"
        as_made = {origin}.issuperset(self._touching(number, position, classes=False))
        return is_called, as_made, len(self._leaves_of_origin(number, position))

    def _leaves_of_origin(self, number: int, position: int) -> list[tuple[int, list[int]]]:
        """Plain data that an object was made from, or else what it was changed by."""
        origin = self._origin(number)
        if origin == 0:
            return []
        found = list(self._leaves([origin]))
        if not found:
            touching = set(self._touching(number, position, classes=False)) - {origin}
            found = list(self._leaves(sorted(touching)))
        for inner in self._used_by(origin):
            if not found and self._origin(inner) != 0:
                found += self._leaves([self._origin(inner)])
        return found

    def _leaves(self, places: list[int]) -> Iterator[tuple[int, list[int]]]:
        for place in places:
            body = self._parsed(place)[0]
            first = _FIRST_VALUE.get(body[0], len(body))
            for position in range(first, len(body)):
                for path in request_leaves.leaf_paths(body[position]):
                    yield place, [position, *path]
            if body[0] in _WITH_KEYWORDS and body[first - 1] is not None:
                for number, pair in enumerate(body[first - 1][1]):
                    for path in request_leaves.leaf_paths(pair[1][1]):
                        yield place, [first - 1, 1, number, 1, 1, *path]

    def _changes(
        self, leaves: list[tuple[int, list[int]]]
    ) -> Iterator[dict[int, list[tuple[list[int], Any]]]]:
        """Changes of single leaves, and of two that are exchanged."""
        values = [request_leaves.value_at(self._parsed(place)[0], path) for place, path in leaves]
        chosen = self._random.sample(range(len(leaves)), min(len(leaves), _MAX_CHANGES))
        for number in sorted(chosen):
            (place, path), value = leaves[number], values[number]
            for other in request_leaves.other_values(value, values, self._random):
                yield {place: [(path, other)]}
        pairs = [
            (one, other)
            for one, other in itertools.pairwise(range(len(values)))
            if type(values[one]) is type(values[other])
            and values[one] != values[other]
            and leaves[one][0] == leaves[other][0]
        ]
        chosen_pairs = self._random.sample(pairs, min(len(pairs), _MAX_EXCHANGES))
        for one, other in chosen_pairs:
            yield {leaves[one][0]: [(leaves[one][1], values[other]), (leaves[other][1], values[one])]}

    def _settings_of(self, place: int) -> list[Any] | None:
        """Request that brings nothing but the settings of a skipped one; None if it brings none."""
        message = [] if self._requests[place] is None else self._parsed(place)
        pieces = plain_pieces(message[2]) if len(message) > 2 else []
        return [["nop"], [], pieces] if pieces else None

    def _script(
        self,
        places: set[int],
        wanted: dict[str, Any],
        change: dict[int, list[tuple[list[int], Any]]] | None = None,
    ) -> str:
        last = max(places | {0})
        requests: list[Any] = []
        for place in range(last + 1):
            if place != 0 and place not in places:
                requests.append(self._settings_of(place))
                continue
            entry = self._requests[place]
            if entry is None or not entry.is_repeatable:
                raise NoScriptError
            message = self._parsed(place)
            for path, value in (change or {}).get(place, ()):
                message = copy.deepcopy(message)
                request_leaves.put_value(message[0], path, value)
            requests.append(
                {"message": message, "exchanges": entry.exchanges} if entry.exchanges else message
            )
        return json.dumps([requests, wanted], separators=(",", ":"))


def answers_text(answers: list[Any]) -> str:
    """Text of the bodies of answers."""
    return json.dumps(answers, separators=(",", ":"))

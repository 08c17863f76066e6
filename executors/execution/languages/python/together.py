"""A Python test and a candidate in one interpreter: for what cannot be told apart by plain data.

A pass here counts only for a candidate that ``scrutiny`` acquits. What such a candidate can still do is to
lie in operators of its own classes, when a test compares one of its objects with a value. So the answer
'equal' or 'contained' is put to the proof: the operator is also asked about decoys, in random order, and
who agrees with a decoy cannot be believed.
"""

import builtins
import functools
import json
import random
import types
from collections.abc import Callable, Sequence
from typing import Any

from executors.execution.arena import Arena
from executors.execution.languages.base import Left, Program
from executors.execution.languages.python.cases import run_test
from executors.execution.languages.python.loading import is_fit, load
from executors.execution.languages.python.reading import used_names
from executors.execution.process import Station
from rewards.problem import Verdict

_PROVED = ("__eq__", "__contains__")
_BELIEVED_AMONG_OWN = tuple(f"__{name}__" for name in ("lt", "le", "gt", "ge", "sub", "rsub"))
_build_class = builtins.__build_class__


def judge_together(
    arena: Arena,
    station: Station,
    candidate: Program,
    tests: Sequence[Program],
    entry_point: str | None,
) -> None:
    """See ``Language.judge_together``; stops early where this process is not fit for another test."""
    proof = _Proof()
    builtins.__build_class__ = proof.build_class
    used = used_names(candidate.content)
    for step, test in enumerate(tests):
        arena.begin(step)
        proof.doubts = 0
        proof.classes.clear()
        loaded = load(candidate.content, entry_point)
        if isinstance(loaded, Verdict):
            left: list[object] = [Left.NOT_LOADED, loaded]
        else:
            arena.loaded()
            kind, code = test.content
            own = set(vars(loaded))
            verdict = run_test(loaded, code, kind)
            # A candidate that names what the test defines could get hold of the test itself.
            within_reach = not used.isdisjoint(vars(loaded).keys() - own)
            left = [Left.VERDICT, verdict, within_reach or bool(proof.doubts)]
        arena.append(step, json.dumps(left).encode())
        arena.finish(step)
        if left[1] == Verdict.OUT_OF_MEMORY or isinstance(loaded, Verdict) or not is_fit():
            return
        station.tidy()


class _Proof:
    """Puts the operators of classes to the proof as the classes are made.

    Attributes:
        doubts: answers that could not be believed.
        classes: those made so far.
    """

    def __init__(self) -> None:
        self.doubts = 0
        self.classes: set[type] = set()
        self._random = random.Random()

    def build_class(self, *arguments: Any, **keywords: Any) -> Any:
        """Stands in for the interpreter's own ``__build_class__``."""
        made = _build_class(*arguments, **keywords)
        if not isinstance(made, type):
            return made
        self.classes.add(made)
        for name in (*_PROVED, *_BELIEVED_AMONG_OWN):
            operator = vars(made).get(name)
            if isinstance(operator, types.FunctionType):
                wrapper = self._proved if name in _PROVED else self._doubted
                setattr(made, name, wrapper(operator))
        return made

    def _proved(self, operator: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        @functools.wraps(operator)
        def proved(this: Any, other: Any) -> Any:
            questions = [other, *_decoys(other)]
            order = self._random.sample(range(len(questions)), len(questions))
            answers: dict[int, Any] = {}
            for place in order:
                try:
                    answers[place] = operator(this, questions[place])
                except Exception:
                    if place == 0:
                        raise
                    answers[place] = False
            for place in order:
                lied = place > 0 and answers[place] is not NotImplemented and answers[place]
                self.doubts += bool(lied and answers[0])
            return answers[0]

        return proved

    def _doubted(self, operator: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        @functools.wraps(operator)
        def doubted(this: Any, other: Any) -> Any:
            answer = operator(this, other)
            if answer is not NotImplemented and type(other) not in self.classes:
                # Compared with plain data by its own word; so nothing but plain data may come of it.
                self.doubts += type(answer) not in self.classes
            return answer

        return doubted


def _decoys(value: Any) -> list[Any]:
    """Values of the kind of another one that are not equal to it."""
    kind = type(value)
    decoys: list[Any] = [object()]
    if kind is bool:
        decoys.append(not value)
    elif kind in {int, float, complex}:
        decoys += [value + 1, -value - 7]
    elif kind is str:
        decoys += [value + "?", "?" + value[1:]]
    elif kind is bytes:
        decoys += [value + b"?"]
    elif kind in {list, tuple}:
        decoys += [kind([*value, None]), kind(["?", *value[1:]])]
    elif kind in {set, frozenset}:
        decoys.append(kind([*value, object()]))
    elif kind is dict:
        decoys.append({**value, object(): None})
    elif value is not None and kind.__module__ != "builtins":
        try:
            decoys.append(object.__new__(kind))
        except TypeError:
            decoys.append(kind)
    return decoys

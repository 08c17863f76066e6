"""Peer of a judge's process."""

# ruff: noqa: ARG002 - the methods have the parameters that the contract of a peer gives

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from typing import Any, NoReturn

from testbudget.executors.execution.languages.python.caveats import caveats_of
from testbudget.executors.execution.languages.python.interpreter import MODULE
from testbudget.executors.execution.languages.python.objects import access, tables
from testbudget.executors.execution.languages.python.objects.decoding import MALFORMED
from testbudget.executors.execution.languages.python.objects.mirrors import MirrorMeta, MirrorOptions
from testbudget.executors.execution.languages.python.objects.names import CANDIDATE_MODULE, JudgeNames
from testbudget.executors.execution.languages.python.objects.served_objects import ObjectServer
from testbudget.executors.execution.languages.python.objects.settings import JudgeSettings
from testbudget.executors.execution.languages.python.objects.wire import BrokenPairError, Pipe
from testbudget.executors.execution.languages.python.reasons import shown
from testbudget.rewards.problem import Verdict

_SWITCHES = frozenset(
    "wait_for timeout cancel create_task ensure_future gather TaskGroup wait as_completed shield Event "
    "Queue Semaphore Lock Condition".split()
)
"""Names of tests that may depend on the order in which coroutines run."""

_WEAK = frozenset({"ref", "WeakSet", "WeakValueDictionary", "WeakKeyDictionary", "finalize", "getrefcount"})
_NOT_CLASS_ITEMS = frozenset(
    {"__module__", "__qualname__", "__dict__", "__weakref__", "__firstlineno__", "__static_attributes__"}
)


class JudgePeer(ObjectServer):
    """Peer of a judge.

    Attributes:
        was_told: True once the candidate has used anything of the test's, printed, warned, logged or bound
            a name anew.

    Args:
        pipe: the connection.
        names: names of the candidate and of the test.
        end: function that ends this process with a verdict and a sentence.
    """

    patience = 3.0  # the other thread may wait for what this one does next

    def __init__(self, pipe: Pipe, names: JudgeNames, end: Callable[[Verdict, str], NoReturn]) -> None:
        super().__init__(pipe, names)
        self._end = end
        self._serial = 0
        self._told_of_lifetimes = False
        self.was_told = False
        self._library: dict[str, Any] = {}

    def load(self) -> Any:
        """Load the names of the candidate; its message if it could not be loaded."""
        loaded = self.request(["load"])
        if type(loaded) is list:
            return loaded
        try:
            described, reads = loaded
            self.names.load(described, reads)
            self.caveats.clear()
        except (TypeError, ValueError) as error:
            self.broken(error)
        self.watches_lifetimes = self.names.concerns_lifetimes()
        return None

    def watch(self, settings: JudgeSettings) -> None:
        """Carry the settings of the test from now on."""
        self.settings = settings

    # Contract of a peer

    def note_ended(self) -> None:
        """Doubt a test that may ask whether an object of the candidate has ended: it says so itself."""
        if not _WEAK.isdisjoint(self.names.used):
            self.doubt("The candidate's process alone says which of its objects have ended.")

    def new_number(self) -> int:  # noqa: D102
        self._serial += 1
        return self._serial * 2

    def pieces(self) -> list[Any]:  # noqa: D102
        if self.settings is None:
            return []
        pieces = [*self.settings.pieces(), *self.names.pieces(self.encode)]
        if self.watches_lifetimes and not self._told_of_lifetimes:
            self._told_of_lifetimes = True
            pieces.append(["lifetimes"])
        return pieces

    def serve(self, message: list[Any]) -> tuple[Any, Any]:  # noqa: D102
        self.was_told = True
        return super().serve(message)

    def apply_piece(self, piece: Any) -> None:  # noqa: D102
        self.was_told = True
        if self.is_comparing:
            self.doubt("A comparison by the candidate's own operator changed something.")
        if type(piece) is list and piece[:1] == ["global"]:
            self._rebind(piece)
        elif self.settings is not None:
            self.settings.apply(piece)

    def _rebind(self, piece: list[Any]) -> None:
        try:
            _, name, part = piece
            self.names.rebound(name, self.decode_piece(part))
        except MALFORMED as error:
            self.broken(error)

    def decode_piece(self, part: Any) -> Any:
        """Value of a part of a piece; one that means nothing ends the pair."""
        self.is_decoding = True
        try:
            return self.decode(part)
        except MALFORMED as error:
            self.broken(error)
        finally:
            self.is_decoding = False

    def broken(self, error: BaseException) -> NoReturn:  # noqa: D102
        if isinstance(error, BrokenPairError) and error.ended:
            self._end(Verdict.KILLED, "The candidate's process ended during the test.")
        self._end(Verdict.ERRORED, "The candidate's process wrote what means nothing to the judge.")

    def not_carried(self, reason: str) -> NoReturn:  # noqa: D102
        self._end(
            Verdict.UNCONFIRMED, f"What the test and the candidate exchange cannot be carried: {reason}."
        )

    def hash_of(self, value: Any) -> int | None:  # noqa: D102
        return None

    def describe(self, kind: type) -> dict[str, Any]:
        """Description of a class of the test, without its text."""
        described = super().describe(kind)
        described.pop("d", None)
        return described

    def encode_module(self, module: types.ModuleType) -> Any:  # noqa: D102
        if module in (self.names.solution, self.names.module):
            return ["p", CANDIDATE_MODULE]
        if sys.modules.get(module.__name__) is module and module.__spec__ is not None:
            return ["m", module.__name__]
        return super().encode_module(module)

    def encode_object(self, value: Any) -> Any:
        """JSON part for an object of the test; what the library defines crosses by its name."""
        if isinstance(value, AssertionError):
            self.doubt(f"A failed assertion of the test was handed to the candidate: {shown(value.args)}.")
        parts = access.parts_of(value)
        if parts is not None:
            return ["mk", *map(self.encode, parts)]
        key = access.library_name(value)
        if key is None:
            return super().encode_object(value)
        self._library[key] = value
        return ["L", key]

    def candidate_module(self) -> Any:  # noqa: D102
        return self.names.solution

    def coroutine(self, number: int) -> Any:
        """Coroutine that runs one of the candidate to its end, without a switch to another one."""
        if not _SWITCHES.isdisjoint(self.names.used):
            self.excuses.setdefault("Coroutines of the candidate run to their ends one by one.")
        return super().coroutine(number)

    def library_member(self, key: str) -> Any:
        """Member of the library that the test has handed over."""
        return self._library[key]

    def context_of(self, error: BaseException) -> BaseException | None:  # noqa: D102
        return None

    def mirror_options(self, described: dict[str, Any]) -> MirrorOptions:  # noqa: D102
        return MirrorOptions(described["n"] not in self.names.used, MODULE, has_init=True)

    def note_array(self, value: Any) -> None:  # noqa: D102
        self.caveats.update(caveats_of(value))

    def note_class_value(self, kind: type) -> None:  # noqa: D102
        if kind in tables.BROAD_EXCEPTIONS:
            self.doubt(f"The candidate gave {kind.__name__} to the test, which catches failed assertions.")

    def library_call(self, name: str, arguments: Any, keywords: dict[str, Any]) -> Any:
        """Have a function of the library called in the candidate's process."""
        parts = self.parts(arguments)
        return self.request(["lib", name, self.keyword_parts(keywords) if keywords else None, *parts])

    def new_subclass(self, name: str, bases: Any, namespace: Any, keywords: Any) -> Any:
        """Make a class of the test that derives from one of the candidate, over there."""
        cell = namespace.pop("__classcell__", None)
        items = tuple(
            (key, *_class_item(value)) for key, value in namespace.items() if key not in _NOT_CLASS_ITEMS
        )
        made = self.request(["class", *self.parts((name, tuple(bases), items, tuple(keywords.items())))])
        if not isinstance(made, MirrorMeta):
            self.broken(ValueError("no class"))
        if cell is not None:
            cell.cell_contents = made
        self.subclasses.add(made)
        for key, value in namespace.items():
            if isinstance(value, types.FunctionType):
                type.__setattr__(made, key, value)
        return made


def _class_item(value: Any) -> tuple[str, Any]:
    match value:
        case types.FunctionType():
            return "function", value
        case classmethod():
            return "classmethod", value.__func__
        case staticmethod():
            return "staticmethod", value.__func__
        case property():
            return "property", (value.fget, value.fset, value.fdel)
    return "value", value

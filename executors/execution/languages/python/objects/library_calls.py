"""Library functions that a test calls with objects of the candidate.

Most of them work on proxies as they are: ``len``, ``sorted``, ``isinstance``, ``itertools``, ``json.dumps``
with a ``default``. They call methods of what they are given, and each such call is a request. The functions
in `DIVERTED` look inside, at a ``__dict__`` or a code object, or they interpret data as code. The judge has
the candidate's process call those, and never interprets data of the candidate itself.

The result is the candidate's word. It is as good as that of any other call of the candidate's, as long as
an object of the candidate's is among the arguments. Plain results of ``eval`` are therefore doubted: the
test may have made their text, and may compare with them.
"""

import collections
import contextlib
import functools
import importlib
import inspect
import io
import pickle
import pickletools
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any, NoReturn, Protocol

from testbudget.executors.execution.languages.python.objects import mirrors

_FIRST_ARGUMENT = frozenset(
    """
    dataclasses.asdict dataclasses.astuple dataclasses.fields dataclasses.replace
    inspect.getdoc inspect.getfullargspec inspect.getmembers inspect.getmodule inspect.getmro
    inspect.getsource inspect.getsourcelines inspect.isabstract inspect.isasyncgenfunction
    inspect.iscoroutinefunction inspect.isdatadescriptor inspect.isgeneratorfunction inspect.signature
    sys.getsizeof typing.get_type_hints
    """.split()
)
"""Functions that look inside their first argument."""

_PICKLE = frozenset("pickle.dump pickle.dumps pickle.load pickle.loads".split())
_EVALUATE = "builtins.eval"
_LOGGER = "logging.getLogger"

DIVERTED = _FIRST_ARGUMENT | _PICKLE | {_EVALUATE}
"""Functions that the candidate's process calls for a test, as ``module.name``.

A test may call them on whatever it got. ``copy.copy`` and ``copy.deepcopy`` are no part of it: a proxy has
the methods that they call.
"""


class LibraryPeer(Protocol):
    """Peer of a judge, as far as diverted calls need it."""

    def number_of(self, proxy: object) -> int | None:
        """Number of the candidate's object behind a proxy; None for anything else."""

    def library_call(self, name: str, arguments: Any, keywords: dict[str, Any]) -> Any:
        """Have a function of the library called in the candidate's process."""

    def doubt(self, sentence: str) -> None:
        """Note why a pass is not confirmed."""

    def lose(self, sentence: str) -> None:
        """Note why no verdict is certain."""

    def broken(self, error: BaseException) -> NoReturn:
        """End this process: the other one has written what means nothing."""


class LibraryCalls:
    """Replacement of library functions in a judge's process.

    Args:
        peer: the peer of this process.
        test_names: global names of the test. Where it evaluates a text, its names for objects of the
            candidate are known over there.
        code: code of the test, whose constants it may evaluate itself.
    """

    def __init__(self, peer: LibraryPeer, test_names: dict[str, Any], code: types.CodeType) -> None:
        self._peer = peer
        self._test_names = test_names
        self._constants = frozenset(_texts(code))
        self._own_pickles: set[bytes] = set()

    @contextlib.contextmanager
    def diverted(self) -> Iterator[None]:
        """Context in which calls of the functions are diverted, also where library code makes them."""
        replaced = []
        for name in sorted(DIVERTED | {_LOGGER}):
            module_name, _, member = name.rpartition(".")
            module = sys.modules.get(module_name) or importlib.import_module(module_name)
            original = getattr(module, member)
            replaced.append((module, member, original))
            setattr(module, member, self._replacement(name, original))
        try:
            yield
        finally:
            for module, member, original in replaced:
                setattr(module, member, original)

    def _replacement(self, name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        special_functions: dict[str, Callable[..., Any]] = {
            _EVALUATE: self._evaluate,
            _LOGGER: self._logger,
            "pickle.dump": self._dump,
            "pickle.dumps": self._dumps,
            "pickle.load": self._load,
            "pickle.loads": self._loads,
        }
        special = special_functions.get(name)
        divert = functools.partial(self._look_inside, name) if special is None else special

        @functools.wraps(original)
        def function(*arguments: Any, **keywords: Any) -> Any:
            return divert(original, *arguments, **keywords)

        return function

    def _look_inside(
        self, name: str, original: Callable[..., Any], /, *arguments: Any, **keywords: Any
    ) -> Any:
        if not arguments or self._peer.number_of(arguments[0]) is None:
            return original(*arguments, **keywords)
        if name == "inspect.getmembers":
            return self._members(*arguments, **keywords)
        result = self._peer.library_call(name, arguments, keywords)
        if name == "inspect.signature":
            try:
                return _signature(result)
            except (TypeError, ValueError) as error:
                self._peer.broken(error)
        return result

    def _members(self, target: Any, predicate: Callable[[Any], Any] | None = None) -> list[Any]:
        """Members of an object; the predicate is called here."""
        members = self._peer.library_call("inspect.getmembers", (target,), {})
        return [pair for pair in members if predicate is None or predicate(pair[1])]

    def _logger(self, original: Callable[..., Any], name: Any = None, /) -> Any:
        """Logger of this process with the name of a logger of the candidate's, for ``assertLogs``."""
        return original(name if self._peer.number_of(name) is None else name.name)

    # Data that would be interpreted

    def _evaluate(self, original: Callable[..., Any], text: Any, /, *names: Any, **keywords: Any) -> Any:
        frame = sys._getframe(2)
        is_constant = type(text) is str and text in self._constants
        if is_constant or isinstance(text, types.CodeType) or _makes_texts(frame.f_code):
            return original(text, *(names or (frame.f_globals, frame.f_locals)), **keywords)
        in_test = (frame.f_globals, frame.f_locals) if frame.f_globals is self._test_names else ()
        own = {
            name: value
            for one in names or in_test
            for name, value in dict(one).items()
            if self._peer.number_of(value) is not None
        }
        try:
            result = self._peer.library_call(_EVALUATE, (text, own), {})
        except NameError:
            self._peer.lose("The test evaluates a text with names that the candidate does not have.")
            raise
        if self._peer.number_of(result) is None:
            self._peer.doubt("The test evaluates a text that is no constant.")
        return result

    def _dumps(
        self, original: Callable[..., Any], value: Any, /, *arguments: Any, **keywords: Any
    ) -> bytes:
        del original
        protocol = keywords.get("protocol", arguments[0] if arguments else None)
        stream = io.BytesIO()
        try:
            _OwnPickler(stream, protocol).dump(value)
        except _ForeignObjectError:
            there = {} if protocol is None else {"protocol": protocol}
            return self._bytes(self._call_pickle("pickle.dumps", value, there))
        text = stream.getvalue()
        self._own_pickles.add(text)
        return text

    def _loads(self, original: Callable[..., Any], data: Any, /, **keywords: Any) -> Any:
        text = bytes(data)
        if text in self._own_pickles:
            return original(text, **keywords)
        return self._call_pickle("pickle.loads", text, keywords)

    def _dump(
        self, original: Callable[..., Any], value: Any, file: Any, /, *arguments: Any, **keywords: Any
    ) -> None:
        file.write(self._dumps(original, value, *arguments, **keywords))

    def _load(self, original: Callable[..., Any], file: Any, /, **keywords: Any) -> Any:
        del original
        start = file.tell()
        for _ in pickletools.genops(file):  # reads one pickle and executes nothing
            pass
        end = file.tell()
        file.seek(start)
        return pickle.loads(file.read(end - start), **keywords)

    def _call_pickle(self, name: str, value: Any, keywords: dict[str, Any]) -> Any:
        try:
            return self._peer.library_call(name, (value,), keywords)
        except (AttributeError, TypeError, pickle.PickleError):
            self._peer.lose("A pickle of the candidate's may hold objects of the test.")
            raise

    def _bytes(self, value: Any) -> bytes:
        if type(value) is not bytes:
            self._peer.broken(ValueError("no bytes"))
        return value


class _ForeignObjectError(Exception):
    """Error for a proxy in a value that is to be pickled here."""


class _OwnPickler(pickle.Pickler):
    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, mirrors.MirrorMeta) or isinstance(type(value), mirrors.MirrorMeta):
            raise _ForeignObjectError
        return NotImplemented


def _signature(described: Any) -> inspect.Signature:
    """Signature from its description by ``library_functions.describe_signature``.

    Raises:
        TypeError: this describes no signature.
        ValueError: this describes no signature.
    """
    parameters, returned = described
    return inspect.Signature(
        [
            inspect.Parameter(
                name,
                inspect._ParameterKind(kind),
                default=_optional(default),
                annotation=_optional(annotation),
            )
            for name, kind, default, annotation in parameters
        ],
        return_annotation=_optional(returned),
    )


def _makes_texts(caller: types.CodeType) -> bool:
    """Return whether a library function evaluates texts that it has made of names: no data is in them."""
    of_inspect = caller.co_filename == inspect.__file__ and caller.co_name == "wrap_value"
    return of_inspect or caller is collections.namedtuple.__code__


def _texts(code: types.CodeType) -> Iterator[str]:
    """Texts among the constants of a program, at any depth."""
    pending = list(code.co_consts)
    while pending:
        part = pending.pop()
        if isinstance(part, types.CodeType):
            pending += part.co_consts
        elif isinstance(part, tuple | frozenset):
            pending += part
        elif isinstance(part, str):
            yield part


def _optional(value: tuple[Any, ...]) -> Any:
    return value[0] if value else inspect.Parameter.empty

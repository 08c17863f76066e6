"""Settings of the interpreter that a test changes, carried to the candidate's process, and what it prints.

A test runs in the judge's process and the candidate in another one. The candidate must see what the test
has set up: the recursion limit, a seed, a replaced ``sys.stdin``, a patched ``time.sleep``. It must see
nothing else of the test. Both directions are lists of *pieces*, JSON arrays that begin with a name:

- from the judge, before each request: a setting that differs from what the candidate's process has;
- from the candidate, with each answer: texts that it printed, its warnings and its log records, in order.

What a candidate changes in its interpreter stays in its process.

Both processes of a pair have the same scratch directory as their working directory and as ``TMPDIR``, so
the candidate finds the files of the test there. That directory must not be on ``sys.path`` of the judge,
where a file of the candidate would be imported.
"""

import sys
from collections.abc import Callable, Mapping, Sequence, Set
from typing import Any

from testbudget.executors.execution.languages.python.objects.settings_interpreter import SETTINGS
from testbudget.executors.execution.languages.python.objects.settings_logs import (
    LogLevels,
    LogRecords,
    replay_log,
)
from testbudget.executors.execution.languages.python.objects.settings_patches import Patches, PatchWatch
from testbudget.executors.execution.languages.python.objects.settings_random import SeedWatch, restore_seed
from testbudget.executors.execution.languages.python.objects.settings_streams import (
    JudgeInput,
    PrintedText,
    input_kind,
    replay_text,
)
from testbudget.executors.execution.languages.python.objects.settings_warnings import (
    WarningRecords,
    WarningReplay,
)
from testbudget.executors.execution.languages.python.objects.wire import BrokenPairError

_PLAIN_PIECES = frozenset({"random", "numpy.random", "levels"})
_OWN_WARNING = 5
"""Length of a piece for a warning of the candidate's own class, whose last item is the warning."""


class JudgeSettings:
    """Settings of a test in the judge's process, and the replay of what the candidate printed.

    Create it before the test runs and after the names of the candidate are bound: what is set then counts
    as unchanged. The seeding functions of `random` and NumPy are replaced by ones that take notice.

    Args:
        encode: function that gives the JSON form of one value; functions and objects cross as handles.
        targets: dotted names that the test patches, from `patch_targets`.
        solution: names of the module that the test imports the candidate from.
        test_names: names of the test, of which functions called ``input``, ``print`` and
            ``open`` stand for the built-in ones in a candidate that does not define them itself.
        decode: function that gives the value of a JSON form, for warnings of the candidate's own classes;
            None to replay them as the nearest class of the library.
        used: names that the text of the test uses; None if unknown.
    """

    def __init__(
        self,
        encode: Callable[[Any], Any],
        targets: Sequence[str] = (),
        solution: Mapping[str, Any] | None = None,
        test_names: Mapping[str, Any] | None = None,
        decode: Callable[[Any], Any] | None = None,
        used: Set[str] | None = None,
    ) -> None:
        self._settings = [(name, setting.read, setting.changes) for name, setting in SETTINGS.items()]
        self._first = {name: read() for name, read, _ in self._settings}
        self._known = dict(self._first)
        self._seeds = SeedWatch()
        self._patches = PatchWatch(
            encode,
            targets,
            {} if solution is None else solution,
            {} if test_names is None else test_names,
            used,
        )
        self._levels = LogLevels()
        self._stdin = self._first_stdin = sys.stdin
        self._warnings = WarningReplay(decode)

    def pieces(self) -> list[list[Any]]:
        """Settings that have changed since the last call. Call it outside `Headroom`."""
        found: list[list[Any]] = []
        known = self._known
        for name, read, changes in self._settings:
            value = read()
            if value != known[name]:
                found.append([name, changes(known[name], value)])
                known[name] = value
        if sys.stdin is not self._stdin:
            self._stdin = sys.stdin
            found.append(["stdin", input_kind(sys.stdin)])
        found += self._seeds.pieces()
        found += self._levels.pieces()
        found += self._patches.pieces()
        return found

    def close(self) -> bool:
        """End the watch; return whether every setting is as it was first."""
        self._seeds.close()
        return sys.stdin is self._first_stdin and all(
            read() == self._first[name] for name, read, _ in self._settings
        )

    def answer(self, request: Any, arguments: Any) -> str:
        """Answer a request of the candidate's ``sys.stdin``.

        Raises:
            BrokenPairError: there is no such request.
            Exception: whatever the test's own ``sys.stdin`` raises.
        """
        sizes = type(arguments) in {list, tuple} and all(type(item) is int for item in arguments)
        if request not in ("read", "readline") or not sizes or len(arguments) > 1:
            raise BrokenPairError("no request of an input stream")
        stream: Any = sys.stdin
        if stream is sys.__stdin__:  # the candidate reads what the test has not replaced
            return ""
        text = stream.read(*arguments) if request == "read" else stream.readline(*arguments)
        if type(text) is not str:
            raise TypeError(f"sys.stdin gave {type(text).__name__}, not str")
        return text

    def apply(self, piece: Any) -> None:
        """Replay a piece of the candidate's in this process.

        Raises:
            BrokenPairError: there is no such piece.
            Exception: whatever the test's own streams, handlers and filters raise. The test sees it as
                raised by its request.
        """
        if type(piece) is not list or not piece or type(piece[0]) is not str:
            raise BrokenPairError("no piece of settings")
        name = piece[0]
        if name in ("out", "err"):
            replay_text(name, piece[1:])
        elif name == "warning":
            self._warnings.replay(piece[1:])
        elif name == "log":
            replay_log(piece[1:])
        else:
            raise BrokenPairError("no piece of settings")


def plain_pieces(pieces: list[list[Any]]) -> list[list[Any]]:
    """Pieces of a judge that hold settings alone: no function or object of the test.

    A process that repeats some requests of a test needs those of the others, too.
    """
    return [piece for piece in pieces if piece[0] in SETTINGS or piece[0] in _PLAIN_PIECES]


class CandidateSettings:
    """Settings of the test in the candidate's process, and what the candidate prints there.

    It takes effect at the first call of ``pieces`` or ``apply``: that of the message that answers once the
    candidate is loaded. Streams that a
    candidate has bound while it was loaded are therefore the real ones, as they are for a test in the same
    process.

    Args:
        decode: function that gives the value of a JSON form.
        ask: function that makes a request to the judge, ``"read"`` or ``"readline"`` with an optional size,
            and returns a text.
        encode: function that gives the JSON form of one value, for warnings of the candidate's own classes.
    """

    def __init__(
        self,
        decode: Callable[[Any], Any],
        ask: Callable[..., Any],
        encode: Callable[[Any], Any] | None = None,
    ) -> None:
        self._ask = ask
        self._encode = encode
        self._started = False
        self._patches = Patches(decode)
        self._pending: list[list[Any]] = []
        self._logs = LogRecords(self._pending)

    def _start(self) -> None:
        self._started = True
        self._stdin = sys.stdin
        sys.stdout = PrintedText("out", self._pending)
        sys.stderr = PrintedText("err", self._pending)
        WarningRecords(self._pending).install()
        self._logs.install()

    def pieces(self) -> list[list[Any]]:
        """Texts, warnings and log records of the candidate since the last call."""
        if not self._started:
            self._start()
        found = self._pending[:]
        self._pending.clear()
        for piece in found:
            if piece[0] == "warning" and len(piece) == _OWN_WARNING:
                own = piece.pop()
                if self._encode is not None:
                    piece.append(self._encode(own))
        return found

    def apply(self, piece: list[Any]) -> None:
        """Set what the test has set."""
        if not self._started:
            self._start()
        name, *content = piece
        if name in SETTINGS:
            SETTINGS[name].write(content[0])
        elif name == "stdin":
            sys.stdin = self._stdin if content[0] is None else JudgeInput(self._ask, content[0])
        elif name == "levels":
            self._logs.set_levels(*content)
        elif not restore_seed(name, content):
            self._patches.apply(name, content)

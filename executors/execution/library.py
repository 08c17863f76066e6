"""Programs that have been read: a candidate that comes again, for further tests, is not compiled again."""

import itertools
from collections.abc import Sequence

from executors.execution.languages.base import Language, Program, Source
from executors.execution.process import Station

_CPU_SECONDS = 60
_MOST_PROGRAMS = 1024


class Library:
    """Reads programs, and remembers the latest.

    Args:
        station: where to run what reads them.
        language: that they are written in.
    """

    def __init__(self, station: Station, language: Language) -> None:
        self._station = station
        self._language = language
        self._read: dict[tuple[Source, str | None], Program | None] = {}

    def read(self, sources: Sequence[Source], entry_point: str | None) -> list[Program | None]:
        """Compile programs, None for one that does not compile.

        It happens in another process, since some texts make a compiler hang or crash; a text that ends the
        process does not compile.

        Args:
            sources: texts, in any number.
            entry_point: the name that tests are about.

        Raises:
            OSError: no process could be forked or watched, or it did not come to read anything.
        """
        unknown = [source for source in dict.fromkeys(sources) if (source, entry_point) not in self._read]
        while unknown:
            programs = self._compiled(unknown, entry_point)
            self._read.update(
                ((source, entry_point), program) for source, program in zip(unknown, programs, strict=False)
            )
            unknown = unknown[len(programs) :]
        found = [self._read[source, entry_point] for source in sources]
        while len(self._read) > _MOST_PROGRAMS:
            del self._read[next(iter(self._read))]
        return found

    def _compiled(self, sources: Sequence[Source], entry_point: str | None) -> list[Program | None]:
        """As many programs as one process can read; at least one."""
        ended = self._station.run(
            lambda: self._language.read(self._station.arena, sources, entry_point),
            len(sources),
            _CPU_SECONDS + len(sources),
        )
        if ended.overdue is not None and ended.overdue < 0:
            raise OSError("what reads programs took too long to start")
        steps = list(itertools.takewhile(lambda step: step.finished, ended.steps))
        programs = [self._language.program(step.texts[0]) if step.texts else None for step in steps]
        if len(programs) < len(sources) and (ended.signal or not programs):
            programs.append(None)
        return programs

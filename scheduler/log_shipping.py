"""Event log on object storage: the log is local, and its new rows are shipped in segments.

A segment is a compressed SQLite file that holds, of every table of the log, the rows in a range of row
numbers: tables are append-only. Segments are written once. A manifest names them in order and is published
last, so what it names is whole. Every 16 segments of one size become one, made of the local log, so that a
manifest stays short: a log of n segments is named by at most 16 log16(n).

``log/EPOCH-NONCE-NUMBER.segment``, ``log/EPOCH-NONCE.manifest.json``; see ``run_owner`` for the names.
"""

import hashlib
import json
import sqlite3
import tempfile
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from testbudget.rewards.errors import InfrastructureError, UserError
from testbudget.scheduler.run_owner import Claim, check_claim
from testbudget.traces.run_place import RunPlace

_FOLDER, _MANIFEST, _FORMAT = "log", ".manifest.json", 1
_FAN = 16  # segments of one level that become one of the next
_LEVEL = 1  # of compression: large columns are compressed already


@dataclass(frozen=True, slots=True)
class Segment:
    """Rows of the log in one object.

    Attributes:
        name: of the object, in the folder ``log``.
        level: 0 for rows as they came; one more for each merge.
        after: row number by table, after which its rows begin.
        upto: row number by table of its last rows.
        size: bytes.
        digest: SHA-256 in hexadecimal digits.
    """

    name: str
    level: int
    after: Mapping[str, int]
    upto: Mapping[str, int]
    size: int
    digest: str


class LogShipper:
    """Shipping of one log by its driver.

    Args:
        path: the local log.
        place: place of the run.
        claim: claim of the driver.
        segments: segments of which the local log was made; none for a new run.
    """

    def __init__(
        self, path: Path, place: RunPlace, claim: Claim, segments: tuple[Segment, ...] = ()
    ) -> None:
        self._path, self._place, self._claim = path, place, claim
        self._segments = list(segments)
        self._number = 0
        self._upto: Mapping[str, int] = segments[-1].upto if segments else {}

    def ship(self) -> bool:
        """Ship what is new in the log, and publish it.

        Returns:
            False if nothing was new.

        Raises:
            InfrastructureError: another driver has taken the run over, or the place cannot be written. The
                local log is whole, and a later call ships what this one has not.
        """
        try:
            upto = last_rows(self._path)
            if upto == dict(self._upto):
                return False
            segments = [*self._segments, self._write(self._upto, upto, 0)]
            segments, replaced = self._merged(segments)
            check_claim(self._place, self._claim)
            publish_manifest(self._place, self._claim, segments)
            self._segments, self._upto = segments, upto
            for old in replaced:
                self._place.remove(f"{_FOLDER}/{old.name}")
        except OSError as error:
            raise InfrastructureError(
                f"{self._place.name} cannot be written: {error}. The log is whole in {self._path.parent}, "
                f"but for the last moments: continue with testbudget run --resume {self._place.name}"
            ) from error
        return True

    def check_owner(self) -> None:
        """Check that the run is still this driver's.

        Raises:
            InfrastructureError: another driver has taken it over.
            OSError: the place cannot be read.
        """
        check_claim(self._place, self._claim)

    def _merged(self, segments: list[Segment]) -> tuple[list[Segment], list[Segment]]:
        """Segments after all merges that are due, and those that they replace."""
        replaced: list[Segment] = []
        while len(segments) >= _FAN and len({one.level for one in segments[-_FAN:]}) == 1:
            last = segments[-_FAN:]
            whole = self._write(last[0].after, last[-1].upto, last[0].level + 1)
            segments = [*segments[:-_FAN], whole]
            replaced += last
        return segments, replaced

    def _write(self, after: Mapping[str, int], upto: Mapping[str, int], level: int) -> Segment:
        self._number += 1
        name = f"{self._claim.name}-{self._number:08d}.segment"
        content = zlib.compress(_rows(self._path, after, upto), _LEVEL)
        self._place.write(f"{_FOLDER}/{name}", content)
        digest = hashlib.sha256(content).hexdigest()
        return Segment(name, level, dict(after), dict(upto), len(content), digest)


def publish_manifest(place: RunPlace, claim: Claim, segments: list[Segment]) -> None:
    """Write the manifest of a driver.

    Raises:
        OSError: the place cannot be written.
    """
    content = {"format": _FORMAT, "segments": [asdict(segment) for segment in segments]}
    place.write(f"{_FOLDER}/{claim.name}{_MANIFEST}", json.dumps(content).encode())


def published_segments(place: RunPlace) -> tuple[Segment, ...]:
    """Segments of the newest manifest; none if nothing was published.

    Raises:
        UserError: the manifest cannot be read.
        OSError: the place cannot be read.
    """
    claims = []
    for name in place.files(_FOLDER):
        epoch, _, nonce = name.removesuffix(_MANIFEST).partition("-")
        if name.endswith(_MANIFEST) and epoch.isdigit():
            claims.append((Claim(int(epoch), nonce).order, name))
    if not claims:
        return ()
    name = min(claims)[1]
    content = place.read(f"{_FOLDER}/{name}")
    try:
        found = json.loads(content or b"")
        if found["format"] != _FORMAT:
            raise ValueError(f"its format is {found['format']}")
        return tuple(Segment(**fields) for fields in found["segments"])
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{place.name}/{_FOLDER}/{name} must name the log's segments but it cannot be read: {error}"
        ) from None


def restore_log(place: RunPlace, segments: tuple[Segment, ...], path: Path) -> None:
    """Make the local log anew of its segments.

    Args:
        place: place of the run.
        segments: of the newest manifest.
        path: the file to make; it must not exist.

    Raises:
        UserError: a segment is missing or damaged.
        OSError: the place cannot be read, or the file cannot be written.
    """
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        piece = Path(folder) / "segment.sqlite"
        database = sqlite3.connect(path, isolation_level=None)
        try:
            for segment in segments:
                content = place.read(f"{_FOLDER}/{segment.name}")
                if content is None or hashlib.sha256(content).hexdigest() != segment.digest:
                    found = "is missing" if content is None else "is damaged"
                    raise UserError(f"{place.name}/{_FOLDER}/{segment.name} {found}, so the log is lost")
                piece.write_bytes(zlib.decompress(content))
                database.execute("ATTACH ? AS piece", (str(piece),))
                _take_rows(database)
                database.execute("DETACH piece")
        finally:
            database.close()


def last_rows(path: Path) -> dict[str, int]:
    """Number of the last row of each table of a log."""
    database = sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None)
    try:
        tables = _tables(database, "main")
        return {
            name: database.execute(f'SELECT COALESCE(MAX(rowid), 0) FROM "{name}"').fetchone()[0]
            for name in tables
        }
    finally:
        database.close()


def _rows(path: Path, after: Mapping[str, int], upto: Mapping[str, int]) -> bytes:
    """SQLite file with the rows of a log in a range."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "segment.sqlite"
        database = sqlite3.connect(f"file:{file}", uri=True, isolation_level=None)
        try:
            database.execute("PRAGMA journal_mode = OFF")
            database.execute("PRAGMA synchronous = OFF")
            database.execute("ATTACH ? AS log", (f"file:{path}?mode=ro",))
            version = database.execute("PRAGMA log.user_version").fetchone()[0]
            database.execute(f"PRAGMA main.user_version = {version}")
            database.execute("BEGIN")
            for name, statement in _tables(database, "log").items():
                database.execute(statement)
                database.execute(
                    f'INSERT INTO main."{name}" SELECT * FROM log."{name}" WHERE rowid > ? AND rowid <= ?',
                    (after.get(name, 0), upto[name]),
                )
            database.execute("COMMIT")
        finally:
            database.close()
        return file.read_bytes()


def _take_rows(database: sqlite3.Connection) -> None:
    known = _tables(database, "main")
    database.execute("BEGIN")
    for name, statement in _tables(database, "piece").items():
        if name not in known:
            database.execute(statement)
        database.execute(f'INSERT INTO main."{name}" SELECT * FROM piece."{name}" ORDER BY rowid')
    database.execute("COMMIT")
    version = database.execute("PRAGMA piece.user_version").fetchone()[0]
    database.execute(f"PRAGMA main.user_version = {version}")


def _tables(database: sqlite3.Connection, schema: str) -> dict[str, str]:
    """Statements that make the tables of a database, by name."""
    rows = database.execute(
        f"SELECT name, sql FROM {schema}.sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    )
    return dict(rows.fetchall())

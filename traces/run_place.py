"""Place of a run's files: a folder of this machine, or a folder of an object store named by a URL.

Small files of a run are read and written through a place by whoever looks at the run from outside: its
status, requests to its driver, the segments of its log.
"""

import shutil
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from testbudget.rewards.errors import UserError, did_you_mean, one_line
from testbudget.traces.files import path_beside

_CHUNK_BYTES = 1 << 20

SCHEMES = ("s3", "gs", "gcs", "abfs", "abfss", "hdfs", "file")
"""Schemes of the URLs that pyarrow opens."""


def is_url(target: str | Path) -> bool:
    """True if a run directory is named by a URL such as ``s3://bucket/runs/a``.

    ``Path`` makes one slash of two, so ``s3:/bucket/runs/a`` counts as well.

    Raises:
        UserError: it is a URL of another scheme.
    """
    scheme, colon, rest = str(target).partition(":")
    if rest.startswith("//") and scheme.isalnum() and scheme not in SCHEMES:
        raise UserError(
            f"{target} must be a path or a URL of {', '.join(SCHEMES)}{did_you_mean(scheme, SCHEMES, 0.5)}"
        )
    return bool(colon) and scheme in SCHEMES and rest.startswith("/")


def url_of(target: str | Path) -> str:
    """The URL that a target with a scheme means, without a slash at its end."""
    scheme, _, rest = str(target).partition(":")
    slashes = "///" if scheme == "file" else "//"
    return f"{scheme}:{slashes}{rest.strip('/')}"


class RunPlace(ABC):
    """Folder of small files. A file is replaced as a whole; readers see the old or the new content.

    Attributes:
        name: absolute path, or URL.
    """

    name: str

    @abstractmethod
    def read(self, file: str) -> bytes | None:
        """Content of a file, by its path relative to the place; None if there is none.

        Raises:
            OSError: it cannot be read.
        """

    @abstractmethod
    def write(self, file: str, content: bytes) -> None:
        """Write or replace a file; its folder is made.

        Raises:
            OSError: it cannot be written.
        """

    @abstractmethod
    def files(self, folder: str) -> list[str]:
        """Names of the files in a folder, sorted; none if there is no such folder.

        Raises:
            OSError: the folder cannot be read.
        """

    @abstractmethod
    def remove(self, file: str) -> None:
        """Remove a file if it is there.

        Raises:
            OSError: it cannot be removed.
        """

    def copy_in(self, source: Path, file: str) -> None:
        """Write a file with the content of one of this machine.

        Raises:
            OSError: one of them cannot be read or written.
        """
        self.write(file, source.read_bytes())

    def copy_out(self, file: str, target: Path) -> None:
        """Copy a file to one of this machine.

        Raises:
            OSError: one of them cannot be read or written.
        """
        target.write_bytes(self.read(file) or b"")


class LocalPlace(RunPlace):
    """Folder of this machine, or of a network file system that it has mounted.

    Args:
        folder: the folder; it need not exist.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self.name = str(self.folder)

    def read(self, file: str) -> bytes | None:
        """Content of a file; None if there is none."""
        try:
            return (self.folder / file).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def write(self, file: str, content: bytes) -> None:
        """Write a file beside, and move it; it is not flushed to the disk."""
        path = self.folder / file
        path.parent.mkdir(exist_ok=True)
        partial = path_beside(path)
        partial.write_bytes(content)
        partial.replace(path)

    def files(self, folder: str) -> list[str]:
        """Names of the files in a folder, without unfinished ones."""
        try:
            names = [path.name for path in (self.folder / folder).iterdir()]
        except (FileNotFoundError, NotADirectoryError):
            return []
        return sorted(name for name in names if not name.endswith(".partial"))

    def remove(self, file: str) -> None:
        """Remove a file if it is there."""
        (self.folder / file).unlink(missing_ok=True)


class ObjectPlace(RunPlace):
    """Folder of an object store. Credentials and endpoint come from the environment, as pyarrow reads it.

    Args:
        url: URL of the folder, such as ``s3://bucket/runs/a``.

    Raises:
        UserError: pyarrow cannot open the URL.
    """

    def __init__(self, url: str) -> None:
        from pyarrow import ArrowException
        from pyarrow.fs import FileSystem

        self.name = url
        try:
            self._files, path = FileSystem.from_uri(url)
        except (ArrowException, OSError, ValueError) as error:
            raise UserError(f"{url} must be a URL that pyarrow can open: {one_line(error)}") from None
        self._path = path.rstrip("/")
        self._is_local = urlsplit(url).scheme == "file"

    def read(self, file: str) -> bytes | None:
        """Content of an object; None if there is none."""
        try:
            with self._files.open_input_stream(self._at(file)) as stream:
                content: bytes = stream.read()
                return content
        except FileNotFoundError:
            return None

    def write(self, file: str, content: bytes) -> None:
        """Write an object. Object stores publish it when it is closed; a local folder gets it by a move."""
        path = self._at(file)
        if not self._is_local:
            with self._files.open_output_stream(path) as stream:
                stream.write(content)
            return
        self._files.create_dir(path.rpartition("/")[0], recursive=True)
        with self._files.open_output_stream(f"{path}.partial") as stream:
            stream.write(content)
        self._files.move(f"{path}.partial", path)

    def copy_out(self, file: str, target: Path) -> None:
        """Copy an object to a file of this machine, in memory for a part of it."""
        with self._files.open_input_stream(self._at(file)) as stream, target.open("wb") as output:
            shutil.copyfileobj(stream, output, _CHUNK_BYTES)

    def files(self, folder: str) -> list[str]:
        """Names of the objects in a folder."""
        from pyarrow.fs import FileSelector, FileType

        selector = FileSelector(self._at(folder), allow_not_found=True)
        found: list[Any] = self._files.get_file_info(selector)
        names = [info.base_name for info in found if info.type == FileType.File]
        return sorted(name for name in names if not name.endswith(".partial"))

    def remove(self, file: str) -> None:
        """Remove an object if it is there."""
        try:
            self._files.delete_file(self._at(file))
        except FileNotFoundError:
            return

    def _at(self, file: str) -> str:
        return f"{self._path}/{file}" if file else self._path


def run_place(target: str | Path) -> RunPlace:
    """The place of a run directory, given as a path or a URL.

    Raises:
        UserError: the URL cannot be opened.
    """
    return ObjectPlace(url_of(target)) if is_url(target) else LocalPlace(Path(target))

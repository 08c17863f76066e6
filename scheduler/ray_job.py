"""Enclosing Ray job: whether this process was started by ``ray job submit``, and where its runs lie."""

import os
import socket
from pathlib import Path

from testbudget.rewards.errors import UserError
from testbudget.traces.run_place import is_url, url_of

_JOB_VARIABLE, _ADDRESS_VARIABLE = "RAY_JOB_CONFIG_JSON_ENV_VAR", "RAY_ADDRESS"
_CONNECT_SECONDS = 10.0  # Ray itself waits for minutes
_CACHE = "working_dir_files"  # folder of a Ray session into which working directories are unpacked


def is_in_ray_job() -> bool:
    """True if this process was started by ``ray job submit``."""
    return _JOB_VARIABLE in os.environ


def enclosing_cluster() -> str | None:
    """Address of the cluster that a job without an address joins; None if there is none.

    It is that of the enclosing job, or of ``RAY_ADDRESS``.
    """
    address = os.environ.get(_ADDRESS_VARIABLE)
    return address or ("auto" if is_in_ray_job() else None)


def require_listener(address: str, where: str) -> None:
    """Refuse an address of a cluster at which nothing listens.

    Args:
        address: address as Ray takes it. Only one of the form HOST:PORT can be tried.
        where: what names the address, for the sentence.

    Raises:
        UserError: nothing listens there.
    """
    host, _, port = address.rpartition(":")
    if not host or "/" in host or not port.isdigit():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), _CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise UserError(f"{where} must be a running Ray cluster but {address} is none: {error}") from None


def run_target(out: str | None, name: str) -> str:
    """Absolute path or URL of a run directory.

    A job's working directory is a cache of Ray's that it may empty. There a relative path means a folder in
    the home directory of the head.

    Args:
        out: as given; None for ``runs/NAME``.
        name: name of the run by its job file.

    Raises:
        UserError: the path lies in Ray's cache.
    """
    if out is not None and is_url(out):
        return url_of(out)
    base = Path.home() if is_in_ray_job() else Path.cwd()
    path = base / Path(out or Path("runs") / name).expanduser()
    if _CACHE in path.parts:
        raise UserError(
            f"--out must lie outside of Ray's cache of working directories, which may vanish, but got "
            f"{path}: give an absolute path, or a URL such as s3://bucket/runs/a"
        )
    return str(path)

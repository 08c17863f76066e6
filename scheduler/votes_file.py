"""Outcomes from elsewhere as arrays in one ``.npz`` file, in one of two forms.

Either there is one array per problem (``votes/ID``); or, told by an array ``ids``, the arrays of all
problems follow each other, with votes as packed bits. Both are described in ``docs/votes_format.md``.
"""

import math
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rewards.errors import UserError
from scheduler.outcomes import AXES, NOTHING, RULES, Outcomes

_Arrays = Mapping[str, NDArray[Any]]

_UNREADABLE = (
    OSError,
    EOFError,
    MemoryError,  # a header that promises too much
    RuntimeError,  # an archive that is encrypted, or compressed by an unknown method
    zipfile.BadZipFile,
    zlib.error,
)
_BITS = ("votes", "run")
_MOST = 2**24  # candidates, tests or inputs of one problem: products of them still fit


def read_votes(path: Path) -> Iterator[Outcomes]:
    """The problems of a file, one by one, in its order.

    Raises:
        UserError: it cannot be read, or one of its arrays is not what the format says.
    """
    try:
        # A pickle could run code: without leave for them, arrays of objects are refused.
        with path.open("rb") as stream, np.lib.npyio.NpzFile(stream, allow_pickle=False) as file:
            for problem, given in _packed(file) if "ids" in file else _one_by_one(file):
                yield Outcomes.checked(problem, given)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    except ValueError:
        raise UserError(
            f"{path} must hold arrays of numbers and texts but one of them is damaged or holds objects"
        ) from None
    except _UNREADABLE as error:
        reason = " ".join(str(getattr(error, "strerror", None) or error).split())
        raise UserError(f"{path} must be a file as numpy.savez writes it but: {reason}") from None


def _one_by_one(file: _Arrays) -> Iterator[tuple[str, _Arrays]]:
    """The form with one array per problem."""
    problems: dict[str, list[str]] = {}
    for name in file:
        kind, _, problem = name.partition("/")
        if kind not in RULES or not problem:
            known = ", ".join(f"{rule}/ID" for rule in RULES)
            raise UserError(f"arrays must be named {known} but one is named '{name}'")
        problems.setdefault(problem, []).append(kind)
    if not problems:
        raise UserError("there must be at least one problem but there is none")
    for problem, kinds in problems.items():
        yield problem, {kind: file[f"{kind}/{problem}"] for kind in kinds}


def _packed(file: _Arrays) -> Iterator[tuple[str, _Arrays]]:
    """The form in which the arrays of all problems follow each other."""
    known = ("ids", "offsets", "run", *AXES, *RULES)
    for name in file:
        if name not in known:
            raise UserError(f"beside ids, arrays may be {', '.join(known[1:])} but one is named '{name}'")
    ids = file["ids"]
    if ids.dtype.kind != "U" or ids.ndim != 1 or not len(ids) or len(set(ids)) < len(ids):
        raise UserError(
            f"ids must be texts, at least one and all different, but got {ids.dtype} {ids.shape}"
        )
    sizes = {axis: _sizes(file, axis, len(ids)) for axis in AXES}
    arrays = {name: file[name] for name in file if name in ("run", *RULES)}
    begins = {name: _begins(name, array, sizes) for name, array in arrays.items()}
    if "votes" in arrays and not np.array_equal(file.get("offsets", ()), begins["votes"]):
        raise UserError(
            "offsets must say at which byte of votes each problem begins, and where the last one ends, "
            "but do not fit candidates and tests"
        )
    for position, problem in enumerate(ids.tolist()):
        given = {}
        for name, array in arrays.items():
            part = array[begins[name][position] : begins[name][position + 1]]
            shape = [int(sizes[axis][position]) for axis in _axes(name)]
            if name in _BITS:
                part = np.unpackbits(part, count=math.prod(shape)).astype(np.int8)
            given[name] = part.reshape(shape)
        yield problem, _without_those_not_run(problem, given)


def _axes(name: str) -> tuple[str, ...]:
    return RULES["votes" if name == "run" else name].axes


def _sizes(file: _Arrays, axis: str, problems: int) -> NDArray[np.int64]:
    """How many candidates, tests or inputs each problem has."""
    if axis == "inputs" and axis not in file:
        return np.zeros(problems, np.int64)
    sizes = file.get(axis)
    if sizes is None:
        raise UserError(f"beside ids there must be candidates and tests but {axis} is missing")
    if (
        sizes.shape != (problems,)
        or sizes.dtype.kind not in "iu"
        or (sizes < 0).any()
        or (sizes > _MOST).any()
    ):
        raise UserError(
            f"{axis} must be one whole number for each of {problems} problems, at most {_MOST}, but got "
            f"{sizes.dtype} {sizes.shape}"
        )
    return sizes.astype(np.int64)


def _begins(name: str, array: NDArray[Any], sizes: Mapping[str, NDArray[np.int64]]) -> NDArray[np.int64]:
    """Where each problem begins in an array of all, and where the last one ends."""
    lengths = np.ones(len(sizes["tests"]), np.int64)
    for axis in _axes(name):
        lengths = lengths * sizes[axis]
    if name in _BITS:
        if array.dtype != np.uint8:
            raise UserError(f"{name} must be packed bits, uint8, but got {array.dtype}")
        lengths = (lengths + 7) // 8
    begins = np.concatenate([[0], np.cumsum(lengths)])
    if array.shape != (begins[-1],):
        entries = "bytes" if name in _BITS else "entries"
        raise UserError(
            f"{name} must have {begins[-1]} {entries}, those of all problems one after the other, but got "
            f"the shape {array.shape}"
        )
    return begins


def _without_those_not_run(problem: str, given: dict[str, NDArray[Any]]) -> _Arrays:
    run = given.pop("run", None)
    if run is not None and "votes" in given:
        if (given["votes"] > run).any():
            raise UserError(f"a pair that was not run must not be passed but one of problem {problem} is")
        given["votes"][run == 0] = NOTHING
    return given

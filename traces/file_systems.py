"""File system that a path lies on, as the kernel's table of mounts names it."""

import re
from pathlib import Path

_MOUNTS = Path("/proc/self/mountinfo")
_NETWORK = re.compile(
    r"^(nfs\d?|cifs|smb\d?|smbfs|lustre|ceph|glusterfs|beegfs|gpfs|afs|9p|panfs|weka\w*|orangefs|pvfs2"
    r"|fuse\.(sshfs|glusterfs|ceph-fuse|juicefs|weka\w*|lustre))$"
)
_OBJECTS = re.compile(r"^fuse\.?(s3fs|goofys|gcsfuse|blobfuse2?|mountpoint-s3|rclone|geesefs|.*s3.*)$")


def file_system_of(path: Path, mounts: Path = _MOUNTS) -> str:
    """Type of the file system that a path lies on, such as ``ext4`` or ``nfs4``; empty if unknown.

    Args:
        path: file or directory; it need not exist.
        mounts: table of mounts in the form of Linux' ``/proc/self/mountinfo``.
    """
    try:
        lines = mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return ""
    place, found, deepest = path.resolve(), "", -1
    for line in lines:
        fields, _, rest = line.partition(" - ")
        words = fields.split(" ")
        if len(words) < 5 or not rest:
            continue
        point = Path(re.sub(r"\\(\d{3})", lambda code: chr(int(code[1], 8)), words[4]))
        # Of two mounts on one point the later one is seen.
        if place.is_relative_to(point) and len(point.parts) >= deepest:
            deepest, found = len(point.parts), rest.split(" ")[0]
    return found


def is_network(kind: str) -> bool:
    """True if a type of file system is shared by several machines."""
    return bool(_NETWORK.match(kind))


def is_object_mount(kind: str) -> bool:
    """True if a type of file system is an object store in disguise, in which files cannot grow safely."""
    return bool(_OBJECTS.match(kind))

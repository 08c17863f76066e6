"""Files that are made once per machine from a compiler alone, and kept in the user's cache directory.

They are made outside the sandbox, before any program is read, and are read-only inside.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path


def prepared_directory(name: str, identity: str, make: Callable[[Path, Path], None]) -> Path | None:
    """Directory with files that depend on a compiler, made unless it is there.

    Several processes may ask at once; one of them makes it.

    Args:
        name: beginning of the directory's name.
        identity: all that the files depend on, such as the version of the compiler and its flags.
        make: function that makes the files in an empty directory, which then gets the path of the second
            argument.

    Returns:
        None if nothing can be written, or the compiler refused.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "testbudget")
    place = cache / f"{name}-{hashlib.sha256(identity.encode()).hexdigest()[:16]}"
    if place.is_dir():
        return place
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with Path(cache, f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if place.is_dir():
                return place
            made = Path(tempfile.mkdtemp(dir=cache, prefix=f"{name}-"))
            try:
                make(made, place)
                made.chmod(0o755)
                made.rename(place)
            except BaseException:
                shutil.rmtree(made, ignore_errors=True)
                raise
    except (OSError, subprocess.CalledProcessError):
        return None
    return place

"""Choice of the distributions that programs may import, as job files and the command line hold it.

The module imports nothing that reads an environment.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PackageChoice:
    """Choice of distributions that programs may import.

    Attributes:
        names: names of distributions, as in requirements; extras and versions are allowed.
        python: interpreter of the environment that they are installed in, or the environment's folder; None
            for the environment of this process.
    """

    names: tuple[str, ...] = ()
    python: str | None = None


NO_PACKAGES = PackageChoice()
"""Choice of no distribution."""

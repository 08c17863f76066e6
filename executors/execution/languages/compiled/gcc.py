"""Compilers of GCC: flags, the programs that they start, and headers."""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

GCC_FLAGS = ("-O2", "-w", "-fmax-errors=1", "-fdiagnostics-plain-output")
"""Flags of all compilers of GCC: no warnings, and no more than the first error."""

HEADERS = ("/usr/include", "/usr/local/include")
"""Directories of headers, beside those of the compiler itself."""


def gcc_helpers(compiler: str) -> Sequence[str]:
    """Directory of a compiler's parts, and the assembler and linker that it starts.

    Args:
        compiler: name of an executable.
    """
    asked = subprocess.run(
        [compiler, "-print-prog-name=collect2"], capture_output=True, text=True, check=True
    )
    named = [found for found in map(shutil.which, ("as", "ld")) if found is not None]
    real = [str(Path(found).resolve()) for found in named]
    return (str(Path(asked.stdout.strip()).resolve().parent), *dict.fromkeys(named + real))

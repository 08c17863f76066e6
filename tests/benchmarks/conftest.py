import importlib
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def script():
    """Imports a script's module."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
        yield importlib.import_module

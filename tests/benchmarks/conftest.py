import importlib
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def script():
    """Imports a benchmark by its name."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
        yield importlib.import_module


@pytest.fixture(scope="session")
def recorded_tests(script):
    """Recorded tests of all problems of the recorded run."""
    return script("recorded_parts").recorded_tests()


@pytest.fixture(scope="session")
def recording(recorded_tests):
    """Recorded tests of its first problem."""
    return recorded_tests[0]

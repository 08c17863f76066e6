"""Fixtures of the tests of tuning."""

from pathlib import Path

import pytest

from tests.runs.imported import write_with_states


@pytest.fixture(scope="session")
def with_states(imported: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Directory of the imported run with hidden states."""
    return write_with_states(imported, tmp_path_factory.mktemp("with_states"))

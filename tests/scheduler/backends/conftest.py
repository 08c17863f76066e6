"""Fixtures of the back ends' tests."""

from tests.analysis.conftest import voted

__all__ = ["voted"]

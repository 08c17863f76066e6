"""The small finished run that tests of recorded tests share."""

from tests.analysis.conftest import voted

__all__ = ["voted"]

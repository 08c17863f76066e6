"""Small finished runs, shared with the tests of other rooms."""

from tests.analysis.conftest import voted
from tests.scheduler.conftest import recorded

__all__ = ["recorded", "voted"]

"""Small finished runs, shared with the tests of other rooms."""

from tests.analysis.conftest import voted
from tests.analysis.tune.conftest import imported
from tests.scheduler.conftest import another_learnable, exporting, learnable, recorded

__all__ = ["another_learnable", "exporting", "imported", "learnable", "recorded", "voted"]

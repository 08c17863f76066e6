"""Datasets of the hub, of which only the refusals can be tested without a network."""

import sys

import pytest

from testbudget.rewards.errors import UserError
from testbudget.traces.problems import load_problems
from testbudget.traces.rows.hub_rows import rows_of_hub


@pytest.mark.parametrize("place", ["hub:name", "hub:a/b/c/d", "hub:/name", "hub:"])
def test_a_name_of_another_form_is_refused(place):
    with pytest.raises(UserError, match=f"must be hub:OWNER/NAME or hub:OWNER/NAME/CONFIG but got {place}"):
        list(rows_of_hub(place, None))


def test_the_extra_is_named_where_it_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(
        UserError, match=r"needs datasets, which is not installed: pip install 'testbudget\[hub\]'"
    ):
        load_problems("hub:owner/name")

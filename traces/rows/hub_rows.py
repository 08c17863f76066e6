"""Rows of a dataset on the Hugging Face hub, which ``datasets`` downloads and keeps in its cache."""

from collections.abc import Iterator
from typing import Any

from testbudget.rewards.errors import UserError, one_line, require_extra
from testbudget.traces.rows.dataset_folder import chosen_split
from testbudget.traces.rows.row import Row, with_values

HUB = "hub:"
"""Beginning of the name of a dataset on the hub: ``hub:OWNER/NAME`` or ``hub:OWNER/NAME/CONFIGURATION``."""


def rows_of_hub(place: str, split: str | None) -> Iterator[Row]:
    """Rows of one split of a dataset on the hub.

    Args:
        place: name of the dataset, which begins with ``hub:``.
        split: name of the split; None takes the only one, or ``test`` of several.

    Raises:
        UserError: ``datasets`` is missing, the name has another form, or the dataset cannot be loaded.
    """
    parts = place.removeprefix(HUB).split("/")
    if len(parts) not in (2, 3) or not all(parts):
        raise UserError(
            f"a dataset of the hub must be hub:OWNER/NAME or hub:OWNER/NAME/CONFIG but got {place}"
        )
    with require_extra("hub", "reading a dataset of the hub"):
        import datasets
    try:
        loaded: Any = datasets.load_dataset("/".join(parts[:2]), *parts[2:])
    except Exception as error:  # of the many libraries below, each has its own
        raise UserError(f"{place} cannot be loaded: {one_line(error)}") from None
    rows = loaded[chosen_split(place, list(loaded), split)]
    for number, row in enumerate(rows, start=1):
        yield Row(f"{place} row {number}", with_values(row))

"""Stages of the start of a run, before it has a status: messages of a logger that displays may show."""

import logging

STAGE_LOGGER = "testbudget.stages"
"""Name of the logger; a message for each stage, at the level INFO."""

_LOG = logging.getLogger(STAGE_LOGGER)


def tell_stage(text: str) -> None:
    """Tell what is being done now."""
    _LOG.info(text)

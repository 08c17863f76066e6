"""Where work happens: models that write code and sandboxes that run it, and their Ray actors."""

"""Work of a run: models that write code, sandboxes that run it, and Ray actors for both."""

"""Work of a run: models that write code, sandboxes that run it, and the workers that hold both."""

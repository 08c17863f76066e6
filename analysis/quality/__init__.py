"""Quality of the tests of finished runs on held-out problems, and of two writers side by side."""

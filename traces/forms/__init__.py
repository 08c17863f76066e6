"""Forms of rows of problems: this project's own, and those of public data sets."""

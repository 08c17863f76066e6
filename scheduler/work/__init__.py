"""Work of a run by kind: what a command of the core turns into, and what its result turns into."""

"""Back ends of the scheduler: a Ray cluster, or a finished run on a simulated clock."""

"""Languages whose programs are translated by a compiler of the machine."""

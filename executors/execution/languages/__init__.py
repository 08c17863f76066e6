"""What the sandbox must know of each programming language."""

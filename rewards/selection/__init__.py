"""Selection rules: each picks among the candidates of one problem."""

"""Selection rules, which pick among the candidates of one problem."""

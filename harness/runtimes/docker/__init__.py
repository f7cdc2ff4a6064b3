"""The ``docker`` runtime: nodes are containers on a network of the run's own."""

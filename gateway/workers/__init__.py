"""Several processes of one gateway on one machine: a supervisor, and workers that share the client port."""

"""Background refreshes: asked for at one door, done by the worker, told of at another."""

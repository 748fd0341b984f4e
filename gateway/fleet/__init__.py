"""Many gateways that act as one: the door to Redis, and what the nodes of a fleet share there."""

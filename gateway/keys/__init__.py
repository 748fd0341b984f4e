"""API keys made here: their database, and the ring of all keys by which requests find their account."""

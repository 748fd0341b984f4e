"""`make bench`: the gateway beside what an expert would build instead, in one run on one machine."""

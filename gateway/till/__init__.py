"""The till: the meter of a fleet, whose balances, throttles and caps are in Redis and are the same for every node."""

"""`gateway demo`: the gateway in front of a small upstream of its own, to try without a paid API."""

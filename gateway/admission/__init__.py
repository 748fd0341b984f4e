"""Pure admission: from a request head and the config snapshot to route, account, intent, quote and cache key."""

"""The client's door: HTTP/1.1 over aiohttp's low-level server, held to the limits of the config."""

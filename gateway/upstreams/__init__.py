"""Upstreams: the only door to aiohttp's client."""

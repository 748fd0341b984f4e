"""gateway: a caching, metering reverse proxy for paid and slow HTTP APIs."""

__version__ = "0.1.0"

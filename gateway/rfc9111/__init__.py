"""RFC 9111, HTTP Caching, as pure functions: one module per part of the RFC."""

"""The config: YAML with line numbers, its schema, and the snapshot that the request's way reads."""

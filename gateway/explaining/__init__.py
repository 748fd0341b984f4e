"""What would become of a request, without sending it."""

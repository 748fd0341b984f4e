"""Pure answer building: from an outcome, a charge and a response to the bytes that the client reads."""

"""Background refreshes: their schema, what they mean together with the rest of a config, and what is made of them."""

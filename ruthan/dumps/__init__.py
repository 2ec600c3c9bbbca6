"""Read message dumps: one reader a format, each a generator of messages."""

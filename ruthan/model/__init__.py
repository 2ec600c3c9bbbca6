"""The model bundle on disk, and the classifier that runs it."""

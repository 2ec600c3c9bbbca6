"""What the service keeps: API keys, feedback, jobs and, only where an operator wants it, texts."""

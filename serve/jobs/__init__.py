"""Dumps that callers upload and that are scanned beside the requests."""

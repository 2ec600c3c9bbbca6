"""Judges messages for many callers at once: what they send is batched, judged off the event loop, and remembered."""

"""Labelled texts: read, checked, split, added to, and joined by texts from elsewhere."""

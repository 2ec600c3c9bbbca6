"""Labelled texts in, model bundle out."""

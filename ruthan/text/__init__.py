"""Make the disguises and typing habits of messages look alike, and say what was undone and where.

`normalize` applies the steps one after another; each step lives with those that look at the same thing: `characters`,
`spelling`, `foreign_letters`, `divided_words`, `lures`, `broken_links`.
"""

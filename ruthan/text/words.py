"""Divide a text into Thai words and what stands between them."""

import re

from pythainlp.tokenize import word_tokenize

# Only Thai goes to the tokenizer, in pieces: it takes quadratic time over long runs of digits or of one letter.
_RUN = re.compile("[\u0e01-\u0e3a\u0e40-\u0e4e]{1,200}|[^\u0e01-\u0e3a\u0e40-\u0e4e]+")


def words(text: str) -> list[str]:
    """The words of `text`; joined, they are the text again. What is not Thai comes in one piece between Thai ones."""
    result: list[str] = []
    for run in _RUN.findall(text):
        result += word_tokenize(run, engine="newmm", keep_whitespace=True) if run[0] >= "\u0e01" else [run]
    return result

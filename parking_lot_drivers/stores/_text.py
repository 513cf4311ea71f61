"""Text that every store can keep."""

from __future__ import annotations


def keepable(text: str | None) -> str | None:
    """``text`` with what no database keeps (half surrogate pairs, zero characters) written as backslash escapes.

    For the words of an error only, which may quote any bytes; identifiers are checked where they come in.
    """
    if text is None or (text.isascii() and "\0" not in text):
        return text
    return text.encode("utf-8", "backslashreplace").decode("utf-8").replace("\0", "\\x00")

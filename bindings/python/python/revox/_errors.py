"""What goes wrong."""

from __future__ import annotations


class RevoxError(ValueError):
    """A file is damaged, of a later version or not what it should be, or nothing can be computed.

    Impossible arguments are plain ``ValueError`` or ``TypeError``; files that the operating system
    refuses are ``OSError``.
    """

    file: str | None = None
    """The file at fault, if one is."""

    line: int | None = None
    """The line of it, from 1, if it is known."""


class RevoxWarning(UserWarning):
    """A recording whose scores are less reliable."""


RevoxError.__module__ = RevoxWarning.__module__ = "revox"

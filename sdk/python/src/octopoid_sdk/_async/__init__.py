"""The client for code with ``async``. The one in ``_sync`` is written from it."""

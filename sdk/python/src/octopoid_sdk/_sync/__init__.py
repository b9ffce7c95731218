# Written by scripts/generate_sync.py from ../_async/__init__.py: run it, do not edit.
"""The client for code without ``async``."""

"""Writes what is generated: the shapes and the client without async. ``--check`` only looks."""

from __future__ import annotations

import sys

import generate_models
import generate_sync

if __name__ == "__main__":
    sys.exit(generate_models.main() or generate_sync.main())

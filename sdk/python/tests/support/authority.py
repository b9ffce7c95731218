"""A certificate authority of the tests' own."""

from __future__ import annotations

import subprocess
from pathlib import Path


class Authority:
    """An authority that nobody knows, and a certificate of it for a node on this machine; `root`, `certificate` and `key` are PEM files."""

    def __init__(self, folder: Path) -> None:
        self.root, self.certificate, self.key = (folder / name for name in ("root.crt", "node.crt", "node.key"))
        root_key = folder / "root.key"
        new = ("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc", "-days", "2")
        root = ("-subj", "/CN=Authority of a test", "-keyout", str(root_key), "-out", str(self.root))
        signed = ("-CA", str(self.root), "-CAkey", str(root_key), "-subj", "/CN=Node of a test", "-addext", "subjectAltName=IP:127.0.0.1")
        leaf = ("-addext", "basicConstraints=critical,CA:FALSE", "-keyout", str(self.key), "-out", str(self.certificate))
        for arguments in (root, (*signed, *leaf)):
            subprocess.run((*new, *arguments), check=True, capture_output=True)
        self.key.chmod(0o600)

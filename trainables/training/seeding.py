"""Random seeds derived from names and numbers, so that nothing depends on what else runs."""

import hashlib


def derive_seed(*parts: str | int) -> int:
    """A seed in 0 to 2^31 - 1 that depends on its parts and their order only."""
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1

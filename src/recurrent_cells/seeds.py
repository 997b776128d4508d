"""One seed per trial, split into independent streams by purpose."""

import hashlib


def derive(seed: int, purpose: str, index: int = 0) -> int:
    """A 63-bit seed for one use (`init`, `order`, `dropout`) and one index (epoch, step) of a trial."""
    digest = hashlib.blake2b(f"{seed}/{purpose}/{index}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1

"""Embeddings of the stand-in provider: hashed words and stems, so that like texts are near each other."""

import base64
import math
import operator
import re
import struct
from collections import Counter
from collections.abc import Sequence
from hashlib import blake2b
from typing import Final

DEFAULT_DIMENSIONS: Final = 1536
_WORD: Final = re.compile(r"\w+")
_STEM_LENGTHS: Final = (4, 5, 6)


def embed(text: str, dimensions: int = DEFAULT_DIMENSIONS) -> list[float]:
    """A unit vector for `text`; all zeros for a text without words.

    Each word and its first letters are hashed to one signed coordinate ("hashing trick"), so texts
    that share words or stems have a high cosine similarity, and the same text always the same vector.
    """
    vector = [0.0] * dimensions
    for feature, count in _features(text).items():
        hashed = int.from_bytes(blake2b(feature.encode(), digest_size=8).digest(), "big")
        weight = math.sqrt(count)
        vector[(hashed >> 1) % dimensions] += weight if hashed & 1 else -weight
    length = math.sqrt(sum(value * value for value in vector))
    return [value / length for value in vector] if length else vector


def cosine(left: Sequence[float], right: Sequence[float]) -> float:
    """Cosine similarity of two unit vectors of the same length."""
    return math.fsum(map(operator.mul, left, right))


def as_base64(vector: Sequence[float]) -> str:
    """`vector` as little-endian 32-bit floats in base64, OpenAI's compact encoding."""
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode("ascii")


def _features(text: str) -> Counter[str]:
    features: Counter[str] = Counter()
    for word in _WORD.findall(text.lower()):
        # Short words are mostly grammar: they would make every two questions look alike.
        if len(word) > 3:
            features.update(word[:length] for length in _STEM_LENGTHS)
    return features

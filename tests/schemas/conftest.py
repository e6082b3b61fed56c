"""The schemas' SQL runs in the ingest's pipeline."""

from tests.ingest.conftest import pipeline

__all__ = ["pipeline"]

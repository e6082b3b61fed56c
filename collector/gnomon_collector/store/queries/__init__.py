"""What the dashboard reads: SQL as text, values always bound, results as typed rows.

Every function takes a `gnomon_collector.store.engine.Store` (or its read-only handle) first.
"""

"""Where spans are kept: one API for the embedded engine and for a ClickHouse server.

All SQL that Gnomon runs lives in this package. `open_store` is the way in.
"""

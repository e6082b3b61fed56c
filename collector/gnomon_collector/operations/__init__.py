"""What operators do besides reading: quarantine, people, projects, erasure, backup.

Each operation is one function of an `Operator` and plain JSON arguments, listed in `registry.OPERATIONS`. The
command line runs it in its own process, or has the running server run it: the same function either way.
"""

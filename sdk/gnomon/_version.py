"""The installed version of the distribution."""

from functools import cache


@cache
def version() -> str:
    """Return the installed version of ``gnomon``; ``0+unknown`` when it runs from an uninstalled tree."""
    # Loaded on demand: importlib.metadata is a fifth of what `import gnomon` may take.
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("gnomon")
    except PackageNotFoundError:
        return "0+unknown"

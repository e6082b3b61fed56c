"""Everything derived that is re-applied when its text changes: the views, and the view that ingests."""

from importlib.resources import files

from gnomon_schemas.normalise import ingest_sql


def repeatables() -> list[tuple[str, str]]:
    """Return ``(name, SQL)`` of each repeatable object, in the order in which they are applied.

    The SQL has the slots of the migrations. Statements end with ``;`` at the end of a line.
    """
    folder = files("gnomon_schemas") / "views"
    texts = {entry.name.removesuffix(".sql"): entry.read_text(encoding="utf-8") for entry in folder.iterdir()}
    return [*sorted(texts.items()), ("ingest", ingest_sql())]

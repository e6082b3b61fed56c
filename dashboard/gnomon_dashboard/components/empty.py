"""What a page shows before there is anything to show."""

from typing import Any

import dash_mantine_components as dmc
from dash import html

from gnomon_dashboard.components.attributes import aria, data


def no_data_yet(endpoint: str, project: str) -> Any:
    """Return how to send the first call: the one line, and the endpoint it goes to."""
    python = (
        f'import gnomon\n\ngnomon.init(service_name="my-service", endpoint="{endpoint}", api_key="gnm_i_…")'
    )
    otel = f"OTEL_EXPORTER_OTLP_ENDPOINT={endpoint}\nOTEL_EXPORTER_OTLP_HEADERS=x-gnomon-api-key=gnm_i_…"
    return html.Section(
        className="empty-page",
        children=[
            html.Span(className="brand-mark large", **aria(hidden="true")),
            html.H1("No calls yet"),
            html.P(["Project ", html.B(project), " has received nothing so far. Add one line to a service:"]),
            _snippet(python, "Python"),
            html.P("Or point any OpenTelemetry SDK that speaks OTLP here:"),
            _snippet(otel, "Environment"),
            html.P(
                [
                    "The ingest key was printed at the first start. ",
                    html.Code(f"gnomon keys create --project {project} --scope ingest"),
                    " makes another one. This page shows the first call within seconds.",
                ],
                className="muted",
            ),
        ],
    )


def not_found(what: str, advice: str) -> Any:
    """Return what stands where a link leads to nothing."""
    return html.Section([html.H1(what), html.P(advice, className="muted")], className="empty-page")


def not_come() -> Any:
    """Return what stands in place of a page until it comes; seen after seconds only (assets/gnomon.css)."""
    return html.Section(
        [
            html.P("This page has not come yet: the server is busy, or could not make it."),
            html.Button("Load it again", className="chip-button", **data(action="reload")),
        ],
        className="empty-page not-come",
    )


def _snippet(code: str, label: str) -> Any:
    return html.Div(
        className="snippet",
        children=[
            html.Div(
                [
                    html.Span(label),
                    dmc.CopyButton(
                        value=code,
                        children="Copy",
                        copiedChildren="Copied",
                        size="compact-xs",
                        variant="subtle",
                    ),
                ],
                className="snippet-head",
            ),
            html.Pre(html.Code(code)),
        ],
    )

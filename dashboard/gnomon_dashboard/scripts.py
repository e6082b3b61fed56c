"""Connects properties of components with functions of our scripts (assets/*.js)."""

from typing import Any

from dash import ClientsideFunction, Dash


def connect(
    app: Dash, namespace: str, function: str, *dependencies: Any, prevent_initial_call: bool = False
) -> None:
    """Run ``window.dash_clientside[namespace][function]`` in the browser when an input changes.

    Args:
        dependencies: outputs, inputs and states, in Dash's order.
    """
    app.clientside_callback(  # type: ignore[no-untyped-call]
        ClientsideFunction(namespace, function), *dependencies, prevent_initial_call=prevent_initial_call
    )

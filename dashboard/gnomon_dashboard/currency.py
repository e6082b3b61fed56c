"""The currency that pages show amounts in."""

from starlette.types import ASGIApp, Receive, Scope, Send

from gnomon_dashboard.units import shown_currency
from gnomon_schemas.money import Currency


class ShownCurrency:
    """ASGI middleware: amounts of this application are shown in one currency."""

    def __init__(self, app: ASGIApp, currency: Currency) -> None:
        self.app = app
        self.currency = currency

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        token = shown_currency.set(self.currency)
        try:
            await self.app(scope, receive, send)
        finally:
            shown_currency.reset(token)

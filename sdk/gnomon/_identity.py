"""Who sends: the resource attributes that name the service, its environment and its release."""

from typing import Final

from gnomon._settings import Settings
from gnomon_schemas import attributes as names

_NAMES: Final = {
    "service_name": names.SERVICE_NAME,
    "environment": names.ENVIRONMENT,
    "release": names.SERVICE_VERSION,
}


def resource_of(settings: Settings) -> dict[str, str]:
    """Return all that is known, for a provider of our own."""
    known = {attribute: getattr(settings, setting) for setting, attribute in _NAMES.items()}
    return {attribute: value for attribute, value in known.items() if value}


def given_resource(settings: Settings) -> dict[str, str]:
    """Return what was said to Gnomon itself: it holds even when the host's provider says otherwise."""
    given = {attribute for setting, attribute in _NAMES.items() if setting in settings.given}
    return {attribute: value for attribute, value in resource_of(settings).items() if attribute in given}

"""The secrets that settings and the environment tell of, so that they can be hidden wherever they turn up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mahavishnu.redaction import holds_secret, secrets_in
from mahavishnu.settings.loading import PASSWORD
from mahavishnu.settings.passwords import password_in
from mahavishnu.settings.tables import Settings

_LONG_ENOUGH = 8
"""A variable that no setting names may hold anything; a short word in it is hardly a key."""


def secrets_of(settings: Settings, environ: Mapping[str, str]) -> list[str]:
    """The password of the store, every option that is named like a secret, and every variable that an option names or
    that is itself named like a secret.

    >>> settings = Settings(adapters={"far": {"api_key": "k-1", "key_env": "FAR"}})
    >>> secrets_of(settings, {"FAR": "ann:pw", "HF_TOKEN": "hf_123456789", "HOME": "/root"})
    ['k-1', 'ann:pw', 'pw', 'hf_123456789']
    """
    options = [settings.adapters, settings.policies, *(dict(target.options) for target in settings.targets.values())]
    named = dict.fromkeys([PASSWORD, settings.alerts.webhook_url_env, *_variables(options)])
    found = [*password_in(settings.store.url), *secrets_in(options)]
    found += [environ[variable].strip() for variable in named if environ.get(variable)]
    found += [
        value.strip()
        for variable, value in environ.items()
        if holds_secret(variable) and len(value.strip()) >= _LONG_ENOUGH and not value.strip().isalpha()
    ]
    return list(dict.fromkeys(spelling for secret in found for spelling in _with_parts(secret) if spelling))


def _variables(value: Any) -> Iterator[str]:
    """The variables that options name, in whatever depth: those under `api_key_env`, `basic_auth_env` and the like."""
    if isinstance(value, Mapping):
        for name, held in value.items():
            if str(name).endswith("_env") and isinstance(held, str):
                yield held
            else:
                yield from _variables(held)
    elif isinstance(value, list | tuple):
        for held in value:
            yield from _variables(held)


def _with_parts(secret: str) -> Iterator[str]:
    """Of "user:password" also the password alone; a URL is hidden as a whole."""
    yield secret
    if "://" not in secret:
        yield secret.partition(":")[2]

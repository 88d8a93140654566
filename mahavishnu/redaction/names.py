"""Names that announce a secret: of a setting, a header, a parameter, a field."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

HIDDEN = "***"
"""What stands in the place of a secret."""

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_NOT_A_WORD = re.compile(r"[^a-z0-9]+")

# Long enough to be told at the end of a word that is written together: "sslpassword", "authtoken".
_AT_THE_END = (
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "apikey",
    "credential",
    "credentials",
    "authorization",
    "cookie",
)
_LAST_WORDS = frozenset({"pass", "pwd", "jwt"})
_KINDS_OF_KEY = frozenset(
    [
        "access",
        "account",
        "admin",
        "api",
        "auth",
        "client",
        "encryption",
        "functions",
        "license",
        "master",
        "openai",
        "private",
        "root",
        "secret",
        "security",
        "service",
        "shared",
        "signing",
        "ssh",
        "storage",
        "subscription",
        "webhook",
        "x",
    ]
)
_OPTIONS = re.compile(r"secret|password|credential|tokens$|keys$|(^|_)(key|auth|cookies)$")
_ELSEWHERE = re.compile(r"_(env|file|path|name|id|url)$")


def holds_secret(name: str) -> bool:
    """Whether what such a name stands for is a secret, wherever it is met: in a header, a query, a JSON object.

    >>> [holds_secret(name) for name in ("password", "X-Api-Key", "clientSecret", "sslpassword")]
    [True, True, True, True]
    >>> [holds_secret(name) for name in ("max_tokens", "api_key_env", "idempotency_key", "compass", "key")]
    [False, False, False, False, False]
    """
    words = _words(name)
    joined = "".join(words)
    if joined.endswith(_AT_THE_END):
        return True
    if not words or words[-1] not in (*_LAST_WORDS, "key"):
        return False
    return words[-1] != "key" or not _KINDS_OF_KEY.isdisjoint(words[:-1])


def is_secret_option(name: str) -> bool:
    """Whether a setting of this name is hidden when settings are shown: what `holds_secret`, and every other key.

    One that says where the secret is, such as `api_key_env`, is no secret.

    >>> [is_secret_option(name) for name in ("key", "basic_auth", "apiKeys", "api_key_env", "cost")]
    [True, True, True, False, False]
    """
    plain = "_".join(_words(name))
    if _ELSEWHERE.search(plain):
        return False
    return holds_secret(name) or _OPTIONS.search(plain) is not None


def without_secrets(value: Any) -> Any:
    """A copy of settings, as they may be shown: whatever stands under the name of a secret is hidden.

    >>> without_secrets({"api_key": "k", "n": 1, "headers": {"X-Api-Key": "k"}, "tokens": ["a"]})
    {'api_key': '***', 'n': 1, 'headers': {'X-Api-Key': '***'}, 'tokens': '***'}
    """
    if isinstance(value, Mapping):
        return {
            key: HIDDEN if is_secret_option(str(key)) and _can_be_secret(held) else without_secrets(held)
            for key, held in value.items()
        }
    return [without_secrets(held) for held in value] if isinstance(value, list | tuple) else value


def secrets_in(value: Any) -> list[str]:
    """The texts that `without_secrets` hides.

    >>> secrets_in({"api_key": "k", "deep": [{"tokens": ["a", "b"]}], "n": 1})
    ['k', 'a', 'b']
    """
    if isinstance(value, Mapping):
        return [
            text
            for key, held in value.items()
            for text in (_texts(held) if is_secret_option(str(key)) else secrets_in(held))
        ]
    return [text for held in value for text in secrets_in(held)] if isinstance(value, list | tuple) else []


def _can_be_secret(held: Any) -> bool:
    """A switch is none, and neither is what is not set."""
    return held is not None and not isinstance(held, bool) and held not in ("", [], {})


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    held = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
    return [text for item in held for text in _texts(item)]


def _words(name: str) -> list[str]:
    return [word for word in _NOT_A_WORD.split(_CAMEL.sub("_", name).lower()) if word]

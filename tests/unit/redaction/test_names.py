"""Which names announce a secret."""

import pytest

from mahavishnu.redaction import holds_secret, is_secret_option, secrets_in, without_secrets

SECRET = [
    *("password", "PASSWORD", "passwd", "sslpassword", "db.password", "passphrase", "X-Api-Key", "x-goog-api-key"),
    *("apikey", "apiKey", "OPENAI_API_KEY", "client_secret", "clientSecret", "access-token", "authtoken", "Cookie"),
    *("Set-Cookie", "Authorization", "proxy-authorization", "AWS_SECRET_ACCESS_KEY", "private_key", "credentials"),
]
PLAIN = [
    "max_tokens",
    "input_tokens",
    "api_key_env",
    "idempotency_key",
    "primary_key",
    "compass",
    "monkey",
    "",
    "n",
    "url",
]


@pytest.mark.parametrize("name", SECRET)
def test_a_name_that_announces_a_secret(name):
    assert holds_secret(name)
    assert is_secret_option(name)


@pytest.mark.parametrize("name", PLAIN)
def test_a_name_that_announces_none(name):
    assert not holds_secret(name)


def test_settings_are_hidden_in_whatever_depth_and_what_is_no_secret_stays():
    options = {"key_env": "K", "apiKeys": ["a", {"n": "b"}], "deep": [{"basic_auth": "u:p", "use_token": True, "k": 1}]}
    assert without_secrets(options) == {
        "key_env": "K",
        "apiKeys": "***",
        "deep": [{"basic_auth": "***", "use_token": True, "k": 1}],
    }
    assert secrets_in(options) == ["a", "b", "u:p"]

"""The laws of the redactor: no secret survives, ordinary text stays, twice is once, and it ends in time."""

import base64
import html
import json
import re
import string
import time
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mahavishnu.redaction import HIDDEN, excerpt, forget_secrets, learn, redacted, shown_url

TOKEN = string.ascii_letters + string.digits + "-._~+/"
tokens = st.builds(
    lambda first, middle, last: f"{first}{middle}{last}",
    st.sampled_from(string.ascii_letters),
    st.text(TOKEN, min_size=6, max_size=40),
    st.sampled_from(string.digits),
)
plain = st.text(string.ascii_letters + string.digits, min_size=8, max_size=40).map(lambda text: f"{text}7")

BEFORE_A_SECRET = [
    "Authorization: Bearer {}",
    "authorization: Basic {}\r\nHost: x",
    "{{'Authorization': 'Bearer {}'}}",
    '{{"headers": {{"authorization": "Bearer {}"}}}}',
    '{{\\"Authorization\\": \\"Token {}\\"}}',
    "[(b'authorization', b'Bearer {}'), (b'host', b'x')]",
    "Proxy-Authorization: {}",
    "X-Api-Key: {}",
    "x-goog-api-key={}",
    '"api_key": "{}"',
    "'client_secret': '{}'",
    '{{"name": "X-Auth-Token", "value": "{}"}}',
    "&quot;password&quot;:&quot;{}&quot;",
    "GET /v1/models?api_key={}&n=1",
    "https://host/cb?state=1&access_token={}#top",
    "/login?next=%2Fx%3Ftoken%3D{}%26y%3D1",
    "https://host/x?key={}",
    "grant_type=password&username=ann&password={}",
    "host=h password={} user=u",
    "password: {}",
    "secret: {}, try again",
    "Set-Cookie: session={}; Path=/",
    "http://ann:{}@host/x",
    "see (https://{}@host:80/x)",
    "postgresql:/ann:{}@host/db",
    "postgres:ann:{}@host/db",
    "nonsense//ann:{}@host",
    "next=http%3A%2F%2Fann%3A{}%40host%2F",
    "Incorrect API key provided: {}. You can find yours",
    "the header was 'bearer {}'",
    "-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----",
    "cut off: -----BEGIN PRIVATE KEY-----\n{}",
]

ORDINARY = [
    "the password is wrong; set MAHAVISHNU_STORE_PASSWORD or correct the URL",
    "127.0.0.1:42159, slow-first-token: no first token within 0.05 s; is it overloaded? (option first_token_ms)",
    "set PREFECT_API_KEY or PREFECT_API_AUTH_STRING to a key that this server knows",
    "the environment variable OPENAI_API_KEY is not set; put the key into it, or name another one",
    "invalid token: expected a name, at line 3, column 14",
    "max_tokens=100, input_tokens: 5, idempotency_key=order-17, primary key: id",
    'WWW-Authenticate: Bearer realm="x"; basic authentication is required',
    "http://127.0.0.1:4200/api/deployments/name/a@b cannot be reached (ConnectError: All connection attempts failed)",
    "mail ann@example.org: it fails at 12:30, 3:1 @ 5",
    "sk-learn, risk-17, task-2024-01, a pk-only table, eyJ",
    "image registry/app:1.2@sha256:0123abcd; git@github.com:o/r.git",
    "sqlite:////srv/a:b/m.db is locked",
    "postgresql://ann@host:5432/db?sslmode=require",
    "api keys are read from the environment; api_key_env names the variable",
    "ValueError: it took 17 % of $3.50 & more; see <https://docs/x?page=2#secrets>",
    '{"error": {"code": 404, "type": "not_found", "param": null}}',
    "flow run \"x\" ended as Failed: Flow run encountered an exception: KeyError: 'rows'",
]
WORDS = [
    "the",
    "token",
    "password",
    "secret",
    "key",
    "basic",
    "bearer",
    "authorization",
    "is",
    "was",
    "wrong",
    "expired",
    "missing",
    "for",
    "of",
    "to",
    "404",
    "12:30",
    "a=1",
    "b:",
    "c,",
    "(d)",
    "[e]",
    '"f"',
    "'g'",
    "http://host/x",
    "h@i.org",
    "$1.50",
    "50%",
    "j/k",
    "\\",
    "no-one's",
    "--",
    "…",
    "é",
    "中",
]


@pytest.mark.parametrize("place", BEFORE_A_SECRET)
@given(secret=tokens)
def test_a_secret_is_found_by_what_stands_before_it(place, secret):
    if "host" in place and "/" in secret and "%40" not in place and "@" in place:
        secret = secret.replace("/", "-")
    text = place.format(secret)
    assert secret not in redacted(text)
    assert HIDDEN in redacted(text)


@pytest.mark.parametrize(
    "key",
    [
        "sk-proj-4bcdefgh_ijklmnop",
        "sk-ant-api03-xyz-1",
        "pk-lf-12345678",
        "sk_live_51abcdefgh",
        "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
        "github_pat_11ABCDEFG0abcdefghij",
        "glpat-abcdefghijklmnopqrst",
        "xoxb-123456789012-abcdef",
        "AKIAIOSFODNN7EXAMPLE",
        "AIzaSyA-abcdefghijklmnopqrstuvwxyz12345",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
        "pnu_1234567890abcdefghij",
        "pnb_1234567890abcdefghij",
        "hf_abcdefghijklmnopqrstu",
        "llx-abcdefghijklmnopqrstuvwx",
    ],
)
@pytest.mark.parametrize("place", ["{}", "no: {}, sorry", "\\n{}\\n", "%20{}%20", "['{}']", "({})"])
def test_a_key_is_found_by_its_beginning(key, place):
    assert redacted(place.format(key)) == place.format(HIDDEN)


@given(
    secret=st.text(min_size=8, max_size=40).filter(
        lambda text: text.strip("*") and not text.isalpha() and "".join(text.split()) == text
    ),
    before=st.text(max_size=10),
    after=st.text(max_size=10),
)
@example(secret="p@/ss wörd: 'x'\\", before="", after="")
def test_a_known_secret_is_found_in_every_form(secret, before, after):
    learn(secret)
    forms = {
        "itself": secret,
        "in a URL": quote(secret, safe=""),
        "in lower case": re.sub("%..", lambda escape: escape.group().lower(), quote(secret, safe="")),
        "in a form": quote_plus(secret),
        "in JSON": json.dumps(secret)[1:-1],
        "in JSON in JSON": json.dumps(json.dumps(secret))[3:-3],
        "in Python": repr(secret)[1:-1],
        "in bytes": repr(secret.encode())[2:-1],
        "in HTML": html.escape(secret),
        "Basic": base64.b64encode(f"ann:{secret}".encode()).decode(),
        "within Base64": base64.urlsafe_b64encode(f"{before}:{secret}:{after}".encode()).decode(),
    }
    try:
        for form in forms.values():
            assert form not in redacted(f"{before} {form} {after}").replace(HIDDEN, "\0")
    finally:
        forget_secrets()


def test_a_short_known_secret_is_hidden_as_a_word_and_a_placeholder_is_not():
    learn("s3cret", "postgres", "EMPTY", "abc")
    assert (
        redacted("no s3cret, %20s3cret%20 or \\ns3cret; notas3cretword")
        == "no ***, %20***%20 or \\n***; notas3cretword"
    )
    assert redacted("postgres at postgresql://host/db; EMPTY abc") == "*** at postgresql://host/db; EMPTY abc"


def test_what_a_server_cut_off_is_hidden_too():
    learn("Zm9vYmFyYmF6-12345678")
    assert redacted("wrong key Zm9vYmFyYmF6-12… given") == "wrong key ***… given"
    assert excerpt("x" * 290 + "Zm9vYmFyYmF6-12345678", 300) == "x" * 290 + "***"


def test_the_oldest_secrets_make_room():
    for number in range(1_001):
        learn(f"{number:06}-is-secret")
    assert redacted("000000-is-secret 001000-is-secret") == "000000-is-secret ***"


@pytest.mark.parametrize("text", ORDINARY)
def test_ordinary_text_stays(text):
    assert redacted(text) == text


@given(st.lists(st.sampled_from(WORDS), max_size=30).map(" ".join))
def test_sentences_without_a_secret_stay(text):
    text = text.replace("= ", " ").replace("password b:", "b:")
    assert redacted(text) == text


PIECES = [
    *"=:\"'\\&?;,@/*()[]{}% \n.",
    *(
        "password",
        "token",
        "api_key",
        "Authorization",
        "Cookie",
        "Bearer ",
        "Basic ",
        "sk-abc123def",
        "eyJhbGciOiJ.abc",
    ),
    *("https://", "postgresql:/", "u:p@", "%40", "%3A", "%2F%2F", "***", "hunter2", "&quot;", '\\"', "b'", "key"),
    *("-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----", "api key ", "S3cr3tValue9999", "S3cr3tV", "realm="),
]


@given(st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=3)), max_size=14).map("".join))
def test_twice_is_once_and_nothing_makes_it_fail(text):
    learn("S3cr3tValue9999", "hush")
    once = redacted(text)
    assert redacted(once) == once
    shown = shown_url(text)
    assert shown_url(shown) == shown


HOSTILE = [
    *("a", "//a", "http://a:", "a:b@", "a=", "password=", "token: ", '\\"token\\":', 'token":"a" ', "eyJ_", "sk-"),
    *("-----BEGIN PRIVATE KEY-----", "-----BEGIN PRIVATE KEY", "authorization: ", "cookie: ", "bearer a", "api key "),
    *("%2F%2Fa%3A", "\\", '\\\\"', "password='", "token\t\t\t", "&quot;", "//@", "http:a:1/@", "S3cr3tVa", "UzNjcjN0V"),
]


def test_a_megabyte_of_anything_ends():
    learn("S3cr3tValue9999")
    began = time.monotonic()
    for piece in HOSTILE:
        redacted(piece * (1_000_000 // len(HOSTILE) // len(piece)))
        redacted("x" + piece * (300_000 // len(piece)) + "x")
    redacted("".join(piece * (1_000_000 // len(HOSTILE) // len(piece)) for piece in HOSTILE))
    # It takes a few seconds; what is not linear would take hours.
    assert time.monotonic() - began < 120

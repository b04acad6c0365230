from __future__ import annotations

import json
import os
from datetime import datetime
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prunner.sessions import plain
from prunner.sessions.secrets import REPLACED, Scrubber, says_secret, secrets_of

SECRET = "hunter2-é-Geheim"


@pytest.mark.parametrize(
    "name",
    [
        "password", "PASSWORD", "db_password", "db.password", "dbPassword", "--password", "passwd",
        "token", "api-token", "githubToken", "GITHUB_TOKEN", "AWS_SECRET_ACCESS_KEY", "api_key",
        "apikey", "APIKEY", "key", "account_key", "credentials", "dev_s3_credentials", "pwd", "pin",
        "client_secret", "Authorization", "auth", "cookie", "private_key", "passphrase", "secrets",
        "AZURE_STORAGE_SAS_TOKEN", "sas", "dsn", "keys",
    ],
)  # fmt: skip
def test_these_names_say_secret(name):
    assert says_secret(name)


@pytest.mark.parametrize(
    "name",
    [
        "", "name", "keyboard", "monkey", "author", "first_pass", "compass", "passengers", "PWD",
        "primary_key", "sort_keys", "partition_key", "join_key", "tokenizer_path", "n", "pinned",
        "turkey", "bypass", "spinach", "tokyo",
    ],
)  # fmt: skip
def test_these_do_not(name):
    if name == "tokenizer_path":  # rather too much than too little
        assert says_secret(name)
    else:
        assert not says_secret(name)


def scrubbed(value, *known):
    return plain.from_plain(Scrubber(known).scrub(plain.to_plain(value)))


@pytest.mark.parametrize(
    "value",
    [
        {"db": {"password": SECRET}},
        {"credentials": {"s3": {"user": SECRET, "hosts": [SECRET]}}},
        {"credentials": [SECRET]},
        {"tokens": (SECRET, SECRET)},
        {"token": {1: SECRET}},
        {"token": SECRET.encode()},
        {("token", 1): 2, "api_key": SECRET},
        {"url": f"postgres://me:{SECRET}@host:5432/db?x=1"},
        {"url": f"https://host/x?token={SECRET}&y=2"},
        {"text": f"Authorization: Bearer {SECRET}"},
        {"text": f"password = '{SECRET}'"},
        {"text": str({"user": "me", "password": SECRET})},
        {"text": json.dumps({"password": SECRET}, ensure_ascii=False)},
        {"command_path": f"kedro run --params=password={SECRET},n=4"},
        {"command_path": f"kedro run --params db.password={SECRET}"},
        {"command_path": f"kedro run --password {SECRET}"},
        {"args": ["--password", SECRET, "x"]},
        {"args": [f"--api-key={SECRET}"]},
        {"text": json.dumps(json.dumps({"password": SECRET}, ensure_ascii=False))},
        {"text": f"Authorization: Token {SECRET}"},
        {"text": f"password=r'{SECRET}', token=b'{SECRET}'"},
        {"text": f'password = """{SECRET}"""'},
        {"text": f"credentials={{'user': {{'a': 1}}, 'value': '{SECRET}'}}, n=4"},
        {"text": f"api_keys=['', '{SECRET}']"},
        {"text": f"Settings(user='me', password='{SECRET[:9]}... (600 characters)"},
        {"text": str([("password", SECRET)])},
        {"text": f"if token == '{SECRET}'"},
        {"text": f"DRIVER=x;UID=me;PWD={SECRET};"},
        {"url": f"postgres://me:a/{SECRET}@host/db"},
    ],
)
def test_no_secret_is_left(value):
    found = repr(scrubbed(value))
    assert SECRET[:9] not in found
    assert repr(SECRET.encode())[2:-1] not in found
    assert REPLACED in found


def test_a_secret_is_replaced_wherever_else_it_stands():
    value = {
        "password": "my secret, with a comma",
        "error": "could not log in with my secret, with a comma, sorry",
        "list": ["a my secret, with a comma b"],
        "nested": {"my secret, with a comma": 1},
    }
    assert "my secret" not in repr(scrubbed(value))
    assert scrubbed({"x": "see tr0ub4dor"}, "tr0ub4dor") == {"x": f"see {REPLACED}"}


class Text(str):
    pass


@pytest.mark.parametrize(
    ("value", "elsewhere"),
    [
        ({"url": f"postgres://me:{SECRET}@host/db"}, SECRET),
        ({"password": Text(SECRET)}, SECRET),
        ({"password": SECRET.encode()}, SECRET),
        ({"password": 12345678}, "12345678"),  # what "kedro run --params" makes of it
        ({"password": "p@ss w0rd!"}, "https://host/p%40ss%20w0rd%21"),
        ({"password": 'it\'s "it"'}, repr('it\'s "it"')),
        ({"password": 'it\'s\n"it"'}, json.dumps('it\'s\n"it"')),
    ],
)
def test_a_secret_is_replaced_in_whichever_form_it_is_elsewhere(value, elsewhere):
    scrubber = Scrubber()
    scrubber.scrub(plain.to_plain(value))
    assert elsewhere not in scrubber.text(f"cannot log in: {elsewhere}")


def test_a_password_that_is_a_word_like_others_is_not_looked_for():
    value = {"url": "postgres://postgres:postgres@host/db", "kind": "postgres"}
    assert scrubbed(value) == {"url": f"postgres://postgres:{REPLACED}@host/db", "kind": "postgres"}


def test_passwords_in_urls_of_variables_are_secrets():
    assert secrets_of({"HTTPS_PROXY": f"http://me:{SECRET}@proxy:3128", "N": "http://x:80"}) == [
        SECRET
    ]


@pytest.mark.parametrize(
    "value",
    [Decimal("12345.00"), datetime(2026, 1, 12, 3, 45), UUID(int=0x12345), b"12345" * 3],
)
def test_a_secret_in_what_is_no_text_leaves_something_that_can_be_read(value):
    for known in ("12345", "2026-", "-01-12T", "NDUx", "0000-"):
        assert scrubbed({"x": value}, known)["x"] in (value, REPLACED)


def test_what_was_found_once_is_known_later():
    scrubber = Scrubber()
    scrubber.scrub({"password": SECRET})
    assert scrubber.text(f"ValueError: {SECRET}!") == f"ValueError: {REPLACED}!"


@pytest.mark.parametrize(
    "value",
    [
        {"max_tokens": 512, "n_keys": 3.5, "password": None, "use_token": True},
        {"path": "/data/01_raw", "url": "https://host:443/x", "n": [1, 2, {"a": "b"}]},
        {"command_path": "kedro run --params=n=4,name=x --tags a b"},
        {"sort_key": "date"},
        {"text": "export PWD=/home/me; http://host:8080/x@2"},
        {},
    ],
)
def test_what_is_no_secret_is_left_as_it_is(value):
    assert scrubbed(value) == value


def test_short_and_common_values_are_not_looked_for_elsewhere():
    value = {"password": "abc", "token": "false", "text": "abc is false"}
    assert scrubbed(value) == {"password": REPLACED, "token": REPLACED, "text": "abc is false"}


def test_paths_in_variables_are_no_secrets():
    variables = {"PWD": os.getcwd(), "SSH_AUTH_SOCK": os.path.abspath("agent"), "MY_TOKEN": "xyz12"}
    assert secrets_of(variables) == ["xyz12"]


@settings(max_examples=40)
@given(st.text(st.characters(codec="utf-8"), min_size=5).filter(lambda s: s.lower() != "false"))
def test_any_text_below_a_secret_name_is_gone(secret):
    found = scrubbed({"password": secret, "elsewhere": [f"<{secret}>"]})
    assert found["password"] == REPLACED
    assert secret not in found["elsewhere"][0] or secret in REPLACED


@pytest.mark.parametrize("piece", ["x", "a=", "a ", "--a ", "a://", "a: ", "'", "=", "password=a "])
def test_a_long_text_takes_no_longer_for_each_character(piece):
    """It would not end for hours if it did."""
    text = Scrubber(["secret-1"]).text(piece * 50_000)
    assert text == (piece if "password" not in piece else "password=*** ") * 50_000


@settings(max_examples=40)
@given(st.text())
def test_any_text_can_be_scrubbed(text):
    Scrubber(["secret-1"]).text(text)

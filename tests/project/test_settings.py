"""Settings: read from the environment, refused with the name, the value and what was expected."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from streamer.settings import SettingError, Settings, environment_name, is_loopback


def test_without_an_environment_only_this_machine_is_served():
    settings = Settings.from_environment({})
    assert ("127.0.0.1", 5007, "") == (settings.host, settings.port, settings.token)
    assert settings.data.is_absolute()


def test_every_setting_is_read_from_its_environment_name():
    given = {
        "int": "20000", "float": "70.5", "Path": "/tmp/x", "str": "localhost", "tuple[str, ...]": "a, b,,",
    }  # fmt: skip
    expected = {
        "int": 20000,
        "float": 70.5,
        "Path": Path("/tmp/x"),
        "str": "localhost",
        "tuple[str, ...]": ("a", "b"),
    }
    plain = [f for f in fields(Settings) if not f.metadata["choices"]]
    environment = {environment_name(f.name): given[str(f.type)] for f in plain}
    settings = Settings.from_environment(environment)
    for f in plain:
        assert expected[str(f.type)] == getattr(settings, f.name), f.name


def test_every_setting_is_documented():
    assert [] == [f.name for f in fields(Settings) if len(f.metadata["doc"]) < 20]


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("STREAMER_PORT", "http", "expected a number, received 'http'"),
        ("STREAMER_PORT", "70000", "expected 0 to 65535, received 70000"),
        ("STREAMER_PORT", "-1", "expected 0 or more, received -1"),
        ("STREAMER_MAX_RUNS", "0", "expected 1 or more, received 0"),
        ("STREAMER_HEARTBEAT_SECONDS", "nan", "expected 0.05 or more, received nan"),
        ("STREAMER_WRITE_TIMEOUT_SECONDS", "inf", "expected at most 9,007,199,254,740,992, received inf"),
        ("STREAMER_RETRY_MILLISECONDS", "9" * 400, "expected at most 9,007,199,254,740,992, received 999"),
        ("STREAMER_LOG_FORMAT", "xml", "expected one of text, json, received 'xml'"),
        ("STREAMER_LOG_LEVEL", "INFO", "expected one of debug, info, warning, error, received 'INFO'"),
        ("STREAMER_TOKEN", "two words", "without spaces"),
        ("STREAMER_HOST", "0.0.0.0", "without STREAMER_TOKEN"),
        ("STREAMER_HOST", "build-7", "without STREAMER_TOKEN"),
    ],
)
def test_a_value_that_is_not_allowed_is_named(name, value, said):
    with pytest.raises(SettingError, match=said.replace(".", r"\.")) as caught:
        Settings.from_environment({name: value})
    assert name in str(caught.value)


def test_with_a_token_another_address_is_allowed():
    assert (
        "0.0.0.0" == Settings.from_environment({"STREAMER_HOST": "0.0.0.0", "STREAMER_TOKEN": "s3cret"}).host
    )


def test_an_empty_value_counts_as_not_set():
    assert 5007 == Settings.from_environment({"STREAMER_PORT": " "}).port


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.9.9.9", "::1", "[::1]"])
def test_loopback_addresses_are_known(host):
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["", "0.0.0.0", "::", "10.0.0.1", "example.org"])
def test_other_addresses_are_not_loopback(host):
    assert not is_loopback(host)

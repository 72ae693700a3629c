"""URLs without their secrets, alone and in the messages of other programs."""

from __future__ import annotations

import pytest

from tasks.shared.shown_url import shown_url


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://me:s3cr3t@host/film.git", "https://***@host/film.git"),
        ("https://t0k3n@host:8443/film.git?key=s3cr3t", "https://***@host:8443/film.git?***"),
        ("ssh://git@host/film.git", "ssh://***@host/film.git"),
        ("https://me:p@ss@host/", "https://***@host/"),
        ("fatal: cannot reach 'https://me:s3cr3t@host/a/': no", "fatal: cannot reach 'https://***@host/a/': no"),
        ("http://a:b@one/x and http://two/y", "http://***@one/x and http://two/y"),
        ("git@host:film.git, /films/harbour and a@b.c", "git@host:film.git, /films/harbour and a@b.c"),
    ],
)
def test_what_logs_show(text: str, shown: str) -> None:
    assert shown_url(text) == shown


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://hooks.slack.com/services/T000/B000/s3cr3t", "https://hooks.slack.com/***"),
        ("https://host:8443/?token=s3cr3t", "https://host:8443/***"),
        ("smtps://film:p%40ss@mail.example.com:465", "smtps://***@mail.example.com:465"),
        ("smtp://127.0.0.1:25", "smtp://127.0.0.1:25"),
    ],
)
def test_what_is_shown_of_a_webhook_and_of_a_mail_server(url: str, shown: str) -> None:
    assert shown_url(url, secret_path=True) == shown

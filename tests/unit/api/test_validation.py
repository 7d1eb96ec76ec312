"""What can be known to be wrong beforehand: each check names the value and the remedy, or is silent."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flora_provider.api import validation
from flora_provider.api.urls import host_to_connect, is_private_host
from tests.support.strategies import texts

SILENT = [
    (validation.identifier, "workspace_id", ["ws_1", "ws_/x", "ws_ä"]),
    (validation.identifier, "run_id", ["run_abc123"]),
    (validation.media_type, "type", ["image", "video", "audio", "text"]),
    (validation.non_empty_text, "prompt", ["a fern", " x ", "None of them", "none"]),
    (validation.slug, "model", ["t2i-flux-2-pro"]),
    (validation.slug_or_id, "technique", ["cctv-cam", "tech_1"]),
    (validation.mapping, "params", [{}, {"a": 1}]),
    (validation.non_negative_int, "max_items", [0, 1, 10**9]),
    (validation.run_id, "run_id", ["run_1"]),
    (validation.boolean, "deferrable", [True, False]),
    (validation.seconds, "timeout", [0, 0.5]),
    (validation.positive, "timeout", [1, 0.5, timedelta(seconds=1)]),
    (validation.duration, "timeout", [0, 0.5, timedelta(0)]),
    (validation.usd, "max_cost_usd", [0, 0.5, "0.5", "1e-3"]),
    (validation.idempotency_key, "key", ["a", "x" * 255]),
    (
        validation.callback_url,
        "callback_url",
        [
            "https://example.com/hook?token=1",
            "https://1.1.1.1",
            "https://a.xn--p1ai:8443/",
            "HTTPS://Müller.de./",
            "https://[2606:4700::1111]/",
        ],
    ),
    (validation.content_type, "content_type", ["image/svg+xml", "application/vnd.x-y_1.0"]),
]


@pytest.mark.parametrize(("check", "name", "values"), SILENT)
def test_check_accepts_valid_values(check, name, values):
    assert [check(name, value) for value in values] == [None] * len(values)


@pytest.mark.parametrize(
    ("check", "name", "value", "sentence"),
    [
        (validation.identifier, "project_id", "proj_1", "project_id is 'proj_1', but such an id starts with 'prj_'"),
        (validation.identifier, "run_id", None, "run_id is None, but such an id starts with 'run_': it is what"),
        (validation.identifier, "asset_id", "asset_ 1", "asset_id is 'asset_ 1', but such an id starts with 'asset_'"),
        (validation.identifier, "asset_id", "asset_\0", "asset_id is 'asset_\\x00', but such"),
        (validation.identifier, "technique_id", "tech_", "technique_id is 'tech_', but such an id starts with 'tech_'"),
        (validation.media_type, "type", ["image"], "type is ['image']: use one of image, video, audio, text"),
        (validation.non_empty_text, "prompt", "\n", "prompt is '\\n': give a text that is not empty"),
        (validation.non_empty_text, "prompt", " None\n",
         "prompt is ' None\\n' (what a template of a missing value renders to)"),
        (validation.slug, "model", "None",
         "model is 'None' (what a template of a missing value renders to): give an id"),
        (validation.slug_or_id, "technique", "None",
         "technique is 'None' (what a template of a missing value renders to)"),
        (validation.identifier, "run_id", "None",
         "run_id is 'None' (what a template of a missing value renders to), but"),
        (validation.slug, "model", "FLUX.2 Pro", "model is 'FLUX.2 Pro': give an id as list_models() shows"),
        (validation.slug, "action_id", "a/b", "action_id is 'a/b': give an id as list_actions() shows it"),
        (validation.slug_or_id, "technique", "", "technique is '': give the technique's tech_… id or its slug"),
        (validation.run_id, "run_id", "7", "run_id is '7', but such an id starts with 'run_'"),
        (validation.run_id, "run_id", {"run_id": "run_1"}, "run_id is a finished run, for which its task has waited"),
        (validation.boolean, "deferrable", "no", "deferrable is 'no': give True or False"),
        (validation.seconds, "timeout", -1, "timeout is -1: give seconds, 0 or more"),
        (validation.mapping, "params", {1: 2}, "params is {1: 2}: give a dict with string keys"),
    (validation.positive, "timeout", 0, "timeout is 0: give seconds above zero, or a timedelta"),
    (validation.positive, "timeout", True, "timeout is True: give seconds"),
    (validation.positive, "timeout", float("nan"), "timeout is nan: give seconds"),
    (validation.positive, "timeout", timedelta(seconds=-1), "timeout is datetime.timedelta("),
    (validation.usd, "max_cost_usd", "much", "max_cost_usd is 'much': give an amount in USD, 0 or more"),
    (validation.usd, "max_cost_usd", "-1", "max_cost_usd is '-1': give an amount in USD"),
    (validation.usd, "max_cost_usd", "nan", "max_cost_usd is 'nan': give an amount in USD"),
    (validation.usd, "max_cost_usd", True, "max_cost_usd is True: give an amount in USD"),
    (validation.duration, "timeout", "30", "timeout is '30': give seconds, 0 or more, or a timedelta"),
    (validation.duration, "timeout", timedelta(seconds=-1), "timeout is datetime.timedelta("),
        (validation.idempotency_key, "key", "None", "key is 'None' (what a template of a missing value renders to)"),
        (validation.idempotency_key, "key", "a b",
         "key is 'a b': give 1 to 255 printable ASCII characters without spaces"),
        (validation.content_type, "content_type", "image/png; a=b", "content_type is 'image/png; a=b': give a"),
        (validation.callback_url, "callback_url", "http://e.com/?token=secret",
         "callback_url is http://e.com/…: FLORA"),
        (validation.callback_url, "callback_url", "example.com/secret", "callback_url is no address: FLORA"),
        (validation.callback_url, "callback_url", "https://[half", "callback_url is https://[half/…: FLORA"),
        (validation.callback_url, "callback_url", 5, "callback_url is no address: FLORA"),
        (validation.callback_url, "callback_url", "https://a.local", "callback_url is https://a.local/…: FLORA"),
    ],
)  # fmt: skip
def test_check_reports_an_invalid_value_with_its_remedy(check, name, value, sentence):
    reported = check(name, value)
    assert reported.startswith(sentence)
    assert "secret" not in reported


@pytest.mark.parametrize("check", [validation.callback_url, validation.source_url])
@pytest.mark.parametrize(
    "address",
    [
        *["ftp://example.com/", "https:///path", "https://exa mple.com/a", "https://example.com/a b"],
        *["https://a\n.com/", "https://x.com:99999/", "https://x.com:port/"],
        *["https://ann:secret@x.com/", "https://@x.com/"],
        *["https://intranet/", "https://a..b/", "https://127.1/", "https://2130706433/", "https://0x7f000001/"],
        *["https://0177.0.0.1/", "https://127.0.0.0x1/", "https://①②⑦.0.0.1/", "https://10.0.0.1/", "https://[::1]/"],
    ],
)
def test_address_that_flora_cannot_reach_is_refused(check, address):
    reported = check("url", address)
    assert reported.startswith("url is ")
    assert "secret" not in reported


def test_check_cuts_a_long_value():
    assert len(validation.non_empty_text("prompt", ["x" * 1000])) < 150


@pytest.mark.parametrize(
    "host",
    [
        *["localhost", "LOCALHOST.", "a.localhost", "db.internal"],
        *["10.0.0.1", "192.168.1.1", "172.16.0.1", "127.1.2.3"],
        *["169.254.169.254", "100.64.0.1", "::1", "fe80::1%eth0", "fd00::1", "::ffff:10.0.0.1"],
        # Addresses that lead to 10.0.0.1 by way of a translator or a tunnel, and groups.
        *["64:ff9b::a00:1", "2002:a00:1::", "::a00:1", "fec0::1", "224.0.0.1", "ff0e::1"],
    ],
)
def test_private_hosts_are_known(host):
    assert is_private_host(host)


@pytest.mark.parametrize(
    "host", ["example.com", "1.1.1.1", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101", "localhost.example.com"]
)
def test_public_hosts_are_known(host):
    assert not is_private_host(host)


@given(texts() | texts().map("https://{}".format))
def test_host_to_connect_is_none_or_the_host_of_an_http_url(url):
    host = host_to_connect(url)
    assert host is None or ((host in url.lower() or host) and url.lower().startswith(("https://", "http://")))


@given(
    st.sampled_from([check for check, *_ in SILENT]),
    st.none() | texts() | st.integers() | st.binary() | st.lists(texts()),
)
def test_check_reports_a_value_of_any_type_or_accepts_it(check, value):
    name = "run_id" if check in (validation.identifier, validation.run_id) else "value"
    reported = check(name, value)
    assert reported is None or reported.startswith(f"{name} is ")


@pytest.mark.parametrize("odd", [None, 5, b"https://example.com", ["https://example.com"]])
def test_host_to_connect_is_none_for_other_types_than_text(odd):
    assert host_to_connect(odd) is None


@pytest.mark.parametrize("address", ["s3:/bucket/budgets", "gs:/b"])
def test_address_with_one_slash_is_refused_with_the_one_that_was_meant(address):
    meant = address.replace(":/", "://")
    assert validation.no_missing_slash("store", address).endswith(f"did you mean '{meant}'?")


@pytest.mark.parametrize("path", ["s3://bucket", "C:/budgets", "file:/budgets", "/budgets", "budgets", None])
def test_path_that_misses_no_slash_is_accepted(path):
    assert validation.no_missing_slash("store", path) is None

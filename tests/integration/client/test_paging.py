"""How both clients walk FLORA's lists."""

import httpx
import pytest

from flora_provider.api import calls
from flora_provider.api.errors import FloraServerError
from tests.unit.api.lists import LISTS, identity_of, row


@pytest.mark.parametrize("name", sorted(LISTS))
def test_both_clients_walk_every_list(any_client, name):
    call = LISTS[name][0]

    def flora(request):
        start = int(request.url.params.get("cursor", 0))
        last = start >= 4
        rows = [row(name, f"id_{number}") for number in range(start, start + 3)]
        return httpx.Response(200, json={name: rows, "meta": {"next_cursor": None if last else str(start + 2)}})

    flora_client = any_client(flora)
    found = [identity_of(name, item) for item in flora_client.items(call)]
    assert found == [f"id_{number}" for number in range(7)]
    assert len(flora_client.items(call, max_items=4)) == 4
    assert flora_client.items(call, max_items=0) == []


def test_walk_stops_where_flora_fails(any_client):
    def flora(request):
        if "cursor" in request.url.params:
            return httpx.Response(500)
        return httpx.Response(200, json={"nodes": [row("nodes", "a")], "meta": {"next_cursor": "c"}})

    with pytest.raises(FloraServerError):
        any_client(flora, max_retries=1).items(calls.list_nodes("prj_1"))

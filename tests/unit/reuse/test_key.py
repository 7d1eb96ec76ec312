"""Which requests are the same one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flora_provider.api.errors import FloraInputError
from flora_provider.reuse.key import named_members, reuse_key

ASKED = {"kind": "generation", "type": "image", "prompt": "a fern", "model": "t2i-flux-2-pro", "params": {"seed": 7}}
SHA, OTHER_SHA = "a" * 64, "b" * 64
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=4,
)


def key(value):
    """The key of an action on this input."""
    return reuse_key({"kind": "action", "action": "resize", "inputs": value})


def run(address, *, sha256=None):
    outputs = [{"run_id": "run_1", "output_id": "output_1", "type": "imageUrl", "url": address}]
    files = {"files": [{"output_id": "output_1", "sha256": sha256}]} if sha256 else {}
    return {"run_id": "run_1", "status": "completed", "outputs": outputs, **files}


@given(st.dictionaries(st.text(), values))
def test_order_of_members_does_not_count(params):
    turned = dict(reversed(list(params.items())))
    assert reuse_key({**ASKED, "params": params}) == reuse_key(dict(reversed([*(ASKED | {"params": turned}).items()])))


@given(values, values)
def test_different_params_have_different_keys(first, second):
    is_equal = repr(first) == repr(second)
    assert (reuse_key({"params": [first]}) == reuse_key({"params": [second]})) == is_equal


@pytest.mark.parametrize(
    "change", [{"prompt": "a moss"}, {"model": "t2i-other"}, {"type": "video"}, {"params": {"seed": 8}}, {"kind": "x"}]
)
def test_each_part_of_the_request_counts(change):
    assert reuse_key(ASKED | change) != reuse_key(ASKED)


@pytest.mark.parametrize("absent", [None, {}, ""])
def test_member_that_is_empty_counts_as_absent(absent):
    assert reuse_key({**ASKED, "params": absent}) == reuse_key({k: v for k, v in ASKED.items() if k != "params"})


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("https://a.example/x.png?X-Amz-Signature=1&X-Amz-Date=2", "https://a.example/x.png?X-Amz-Signature=3"),
        ("https://a.example/x.png?sig=1&se=2", "https://a.example/x.png"),
        ("https://a.example/x.png?v=1&Expires=2&Signature=3", "https://a.example/x.png?Signature=4&v=1&Expires=3"),
    ],
)
def test_signature_of_an_address_does_not_count(first, second):
    assert key(first) == key(second) == key({"type": "image", "url": second, "output_id": "o"})


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("https://a.example/x.png?v=1", "https://a.example/x.png?v=2"),
        *(
            (f"https://a.example/x.png?{name}=1", f"https://a.example/x.png?{name}=2")
            for name in ("sr", "se", "policy")
        ),
        ("https://a.example/x.png?sig=1&policy=1", "https://a.example/x.png?sig=1&policy=2"),
        ("https://a.example/x.png", "https://b.example/x.png"),
        ("like https://a.example/x.png?sig=1", "like https://a.example/x.png?sig=2"),
        ("https://[x?sig=1", "https://[x?sig=2"),
    ],
)
def test_everything_else_of_an_address_counts_and_so_does_an_address_within_a_text(first, second):
    assert key(first) != key(second)


def test_what_a_saved_output_holds_counts_and_not_where_it_is():
    first, second = run("https://a.example/1.png", sha256=SHA), run("https://a.example/2.png", sha256=SHA)
    assert key(first) == key(second)
    assert key(first) != key(run("https://a.example/1.png", sha256=OTHER_SHA))
    assert key(first) != key(run("https://a.example/1.png"))


def test_run_with_one_output_is_that_output():
    assert key(run("https://a.example/1.png")) == key("https://a.example/1.png")
    assert key({"run_id": "run_1", "outputs": [{"output_id": "o", "type": "text", "text": "moss"}]}) == key("moss")


def test_outputs_of_a_run_count_in_their_order():
    def two(*addresses):
        return {"run_id": "run_1", "outputs": [{"output_id": a, "type": "imageUrl", "url": a} for a in addresses]}

    assert key(two("https://a.example/1", "https://a.example/2")) != key(
        two("https://a.example/2", "https://a.example/1")
    )


def test_asset_counts_by_its_hash_or_else_by_its_id():
    asset = {"asset_id": "asset_1", "url": "https://a.example/asset_1", "name": "x.png"}
    assert key(asset) == key({**asset, "url": "https://a.example/other"})
    assert key(asset) != key({**asset, "asset_id": "asset_2"})
    assert key({**asset, "sha256": SHA}) == key({**asset, "asset_id": "asset_2", "sha256": SHA})


@pytest.mark.parametrize("files", [[{"path": "a"}], ["a"], [{"output_id": "output_1", "sha256": 7}]])
def test_files_that_say_no_hash_of_the_output_leave_its_address(files):
    assert key(run("https://a.example/1.png") | {"files": files}) == key("https://a.example/1.png")


def test_outputs_that_are_none_have_a_key_of_their_own():
    assert key({"run_id": "run_1", "outputs": ["a", 7]}) != key({"run_id": "run_1", "outputs": ["a", 8]})


def test_value_that_is_no_json_is_refused():
    with pytest.raises(FloraInputError):
        reuse_key({"params": {"a": float("nan")}})


def test_params_that_are_called_as_the_members_of_an_asset_all_count():
    first, second = ({"asset_id": "asset_1", "seed": seed} for seed in (1, 2))
    keys = {reuse_key(named_members("params", params)) for params in (first, second)}
    assert len(keys) == 2

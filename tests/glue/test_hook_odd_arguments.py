"""Whatever a verb of the hook is given by mistake, it is our error or an answer; nothing fails in the middle."""

import inspect

import pytest

from flora_provider.api.errors import FloraError
from flora_provider.hooks.flora import FloraHook

ODD = [None, True, 0, -1, 1.5, float("nan"), b"x", "", "None", "\ud83d", [], [None], {}, {1: 2}, object(), len]
GOOD = {
    "type": "image",
    "prompt": "a fern",
    "idempotency_key": "k",
    "technique_id": "tech_1",
    "technique": "cctv-cam",
    "action_id": "ken-burns-video",
    "inputs": {},
    "source": "https://example.com/a.png",
    "output": {"run_id": "run_1", "output_id": "o", "text": "words"},
}
VERBS = [
    name
    for name, verb in vars(FloraHook).items() | vars(FloraHook.__mro__[1]).items()
    # What a wait may be given is for tests of waits.
    if name != "wait_for_run"
    and inspect.isfunction(verb)
    and not name.startswith("_")
    and set(inspect.signature(verb).parameters) > {"self"}
]


@pytest.mark.parametrize("name", sorted(VERBS))
def test_a_verb_answers_or_refuses_whatever_it_is_given(flora, tmp_path, name):
    good = {**GOOD, "run_id": flora.start(), "folder": tmp_path, "patience": 0.1}
    with FloraHook() as hook:
        verb = getattr(hook, name)
        parameters = inspect.signature(verb).parameters
        given = {key: good[key] for key, it in parameters.items() if it.default is it.empty or key == "patience"}
        for parameter in parameters:
            for odd in ODD:
                try:
                    answer = verb(**{**given, parameter: odd})
                    if inspect.isgenerator(answer):
                        next(answer, None)
                except FloraError as error:
                    str(error).encode()


@pytest.mark.parametrize("conn_id", [None, 5, b"flora_default", "", "None", [], {}])
def test_an_id_of_a_connection_that_is_none_is_refused(conn_id):
    works, sentence = FloraHook(conn_id).test_connection()
    assert not works
    assert "flora_conn_id is" in sentence

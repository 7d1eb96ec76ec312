"""docs/troubleshooting.md has every message that a user can meet, and none that is not there any more."""

from pathlib import Path

import pytest

from tests.support.messages import entries_of, is_found, messages_in, messages_of, parts_of

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")

# Texts that read as messages and are none: where they are, and what.
NO_MESSAGES = {
    "hooks/connection.py EXTRA_FIELDS": "the connection's form",
    "hooks/connection.py FIELD_BEHAVIOUR": "the connection's form",
    "__init__.py get_provider_info": "the provider's description",
    "api/files/media_types.py _ENDINGS": "media types",
    "runs/error_codes.py _KNOWN": "FLORA's error codes",
    "api/__init__.py __getattr__": "as Python says it",
    "files/__init__.py __getattr__": "the same",
    "runs/__init__.py __getattr__": "the same",
    "tasks/flora_task.py FloraTask": "where an error belongs, in brackets at its end",
    "workspaces.py main": "help of the command line",
}
# What other messages are filled with, and what says nothing without them.
FRAGMENTS = {
    "multipart/form-data; boundary=…",
    "in line …", "in time…", "FLORA run …", "FLORA run …, which is billed,", "a value of type …", "a name in …",
    "… or more", "… or less", "and … more", "; and … more", "; about … left", "… at character …", ", such as …",
    ", such as its default …", ", or leave it out", "the output's …", "the run's run_id", "each of … rows",
    "its id is …",
    "the workspace's default model", "the list of models", "is …, which", "… …, which come … (…)", "… was …, is …",
    "… was raised", "(see XCom run_id)", "What is about to be sent", "… is not stored yet", ". Nothing was sent",
    "a run whose id was lost (key …)", "; a retry starts a new run", "it takes no inputs",
    "the task's time is over", "… usually passes", "no reason given", "no retry can help",
    "…, or the name of a .json or .yaml file",
}  # fmt: skip
MESSAGES = [
    message
    for message in messages_in(ROOT / "flora_provider", excluding={"sandbox"})
    if message.text not in FRAGMENTS and message.within not in NO_MESSAGES
]


def test_page_has_every_message_of_the_source():
    entries = entries_of(PAGE)
    missing = [f"{message.where}: {message.text}" for message in MESSAGES if not is_found(message.text, entries)]
    assert not missing, "add to docs/troubleshooting.md, as an item that is code and nothing else"


def test_page_has_no_message_that_the_source_does_not_make():
    texts = [message.text for message in MESSAGES]
    assert not [entry for entry in entries_of(PAGE) if not is_found(entry, texts)]


def test_page_has_each_message_once():
    entries = entries_of(PAGE)
    assert sorted(entries) == sorted(set(entries))


def test_texts_that_are_no_messages_are_in_the_source():
    every = list(messages_in(ROOT / "flora_provider", excluding={"sandbox"}))
    assert not NO_MESSAGES.keys() - {message.within for message in every}
    assert not FRAGMENTS - {message.text for message in every}


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("raise FloraInputError(f'{name} is {value!r}: give a number')", ["… is …: give a number"]),
        ("raise FloraFileError('the file is empty')", ["the file is empty"]),
        ("problems.append('the host is no address')", ["the host is no address"]),
        ("yield f'{name} is missing'", ["… is missing"]),
        ("text = 'one two ' + kind + ' three four'", ["one two … three four"]),
        ("log.warning('%s: again in %.1f s', what, pause)", ["…: again in … s"]),
        ("raise KeyError(f'''it is {'the one that was there' if old else 'new'}, not this''')",
         ["it is …, not this", "the one that was there"]),
        ("log.info('all is as it should be')", []),
        ("def f():\n    'What this function does.'", []),
        ("kinds = 'a b c d'.split()", []),
    ],
)  # fmt: skip
def test_messages_are_found_in_source(source, found):
    assert messages_of(source) == found


def test_new_message_is_missed_until_the_page_has_it():
    text = "its key is …: turn it"
    assert not is_found(text, entries_of(PAGE))
    assert not is_found(text, entries_of(f"{PAGE}\nIts key is `1`: turn it.\n"))
    assert is_found(text, entries_of(f"{PAGE}\n- `its key is …: turn it`\n"))


def test_changed_message_is_missed_and_its_old_entry_is_refused():
    assert not is_found("it has no API key: buy one", entries_of(PAGE))
    assert not is_found("it has no API key: buy one", [message.text for message in MESSAGES])


def test_message_that_is_mentioned_in_a_sentence_is_no_entry():
    assert entries_of("Of `it has no API key`, see below.\n\n- `one`\n- ``a `b` c``\n- `two` and more\n") == [
        "one",
        "a b c",
    ]


def test_parts_are_those_between_values():
    assert parts_of("connection …: its port is … (…)") == ["connection", "its port is"]

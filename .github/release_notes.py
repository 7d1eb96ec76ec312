"""Print the notes of a release, or say why the tag cannot be released: `release_notes.py v0.1.0 > notes.md`.

The tag, `__version__`, CHANGELOG.md and README.md have to agree. Standard library only: nothing else is installed here.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

REPOSITORY = "https://github.com/airflow-provider-flora/airflow-provider-flora"

_HEADING = re.compile(r"^## \[(?P<name>[^]]+)\](?: - (?P<date>\S+))?$", re.MULTILINE)
_LINK = re.compile(r"^\[(?P<name>[^]\n]+)\]: (?P<url>\S+)$", re.MULTILINE)


def sections(changelog: str) -> dict[str, tuple[str | None, str]]:
    """Date and text under each heading of the second level, the newest first."""
    found = list(_HEADING.finditer(changelog))
    ends = [heading.start() for heading in found[1:]]
    links = _LINK.search(changelog)
    ends.append(links.start() if links else len(changelog))
    return {
        heading["name"]: (heading["date"], changelog[heading.end() : end].strip())
        for heading, end in zip(found, ends, strict=True)
    }


def expected_links(names: list[str]) -> dict[str, str]:
    """Where each heading leads: to what changed since the release before it."""
    releases = names[1:]
    if not releases:
        return {names[0]: f"{REPOSITORY}/commits/main"}
    pairs = zip(names, releases, strict=False)
    links = {name: f"{REPOSITORY}/compare/v{before}...{_end(name)}" for name, before in pairs}
    return links | {releases[-1]: f"{REPOSITORY}/releases/tag/v{releases[-1]}"}


def problems(changelog: str, version: str, tag: str | None = None) -> list[str]:
    """What is wrong with the changelog, and with the tag if there is one; one sentence each."""
    found = sections(changelog)
    names = list(found)
    if names[:1] != ["Unreleased"]:
        return ["CHANGELOG.md: its first heading is not [Unreleased]"]
    dated = [(name, date) for name, (date, _) in found.items() if name != "Unreleased"]
    wrong = [
        f"CHANGELOG.md: the heading of {name} has no date: ## [{name}] - YYYY-MM-DD"
        for name, date in dated
        if not (date and re.fullmatch(r"\d{4}-\d\d-\d\d", date))
    ]
    if names[1:] and names[1] != version:
        wrong.append(f"CHANGELOG.md: the newest release is {names[1]}, but __version__ is {version}")
    links = dict(_LINK.findall(changelog))
    wrong += [
        f"CHANGELOG.md: the link of [{name}] is not {url}"
        for name, url in expected_links(names).items()
        if links.get(name) != url
    ]
    if tag is not None:
        if tag != f"v{version}":
            wrong.append(f"the tag is {tag}, but __version__ is {version}")
        if not found.get(version, ("", ""))[1]:
            wrong.append(f"CHANGELOG.md: nothing stands under ## [{version}]")
        if found["Unreleased"][1]:
            wrong.append(f"CHANGELOG.md: something stands under [Unreleased] still: it belongs under ## [{version}]")
    return wrong


def _end(name: str) -> str:
    return "HEAD" if name == "Unreleased" else f"v{name}"


def main(root: Path, tag: str) -> int:
    """Print the notes; the exit code says whether the tag can be released."""
    source = (root / "flora_provider" / "__init__.py").read_text(encoding="utf-8")
    version = re.search(r'^__version__ = "(.+)"$', source, re.MULTILINE)
    changelog = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    wrong = problems(changelog, version[1], tag) if version else ["flora_provider has no __version__"]
    if "Until its first release" in (root / "README.md").read_text(encoding="utf-8"):
        wrong.append("README.md: it still installs from a clone, until the first release: install from PyPI")
    for problem in wrong:
        print(problem, file=sys.stderr)
    if wrong or not version:
        return 1
    print(sections(changelog)[version[1]][1])
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(__file__).parent.parent, sys.argv[1]))

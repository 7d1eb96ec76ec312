"""What stands in the folder of a budget: entries that are added, and never changed or removed. Pure.

An entry is the name of a file. Of the entries of one owner, which is one idempotency key and so at most one run, the
newest counts. So a listing that misses an entry still has the one before it, and no entry has to be opened.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass

_NAME = re.compile(r"([0-9a-f]{32})\.([0-9]+)\.([0-9]+)\.(reserved|settled)")


@dataclass(frozen=True, slots=True)
class Entry:
    """What one run takes of the budget.

    Attributes:
        owner: hash of the idempotency key of the run.
        version: among the owner's entries; the highest counts, and of two equal ones the dearer.
        micro_usd: millionths of a USD, so that sums are exact.
        is_settled: whether it is what FLORA has quoted or billed, not what was reserved before.
    """

    owner: str
    version: int = 0
    micro_usd: int = 0
    is_settled: bool = True

    @property
    def name(self) -> str:
        """Of its file."""
        return f"{self.owner}.{self.version}.{self.micro_usd}.{'settled' if self.is_settled else 'reserved'}"


def owner_of(key: str) -> str:
    """The owner of the entries of an idempotency key."""
    return hashlib.sha256(key.encode()).hexdigest()[:32]


def newest(names: Iterable[str]) -> dict[str, Entry]:
    """The entry of each owner that counts; files with other names are none of ours."""
    entries: dict[str, Entry] = {}
    for match in filter(None, map(_NAME.fullmatch, names)):
        owner, version, micro_usd, state = match.groups()
        entry = Entry(owner, int(version), int(micro_usd), is_settled=state == "settled")
        known = entries.get(owner)
        if known is None or (entry.version, entry.micro_usd) > (known.version, known.micro_usd):
            entries[owner] = entry
    return entries

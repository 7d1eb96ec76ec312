"""What is wrong with many rows, in one error that a person can read. Pure."""

from __future__ import annotations

from flora_provider.api.errors import FloraInputError

_MAX_SENTENCES = 50  # different sentences in one error
_MAX_NUMBERS = 3  # rows that are named beside a sentence


class Problems:
    """Sentences, each once with the rows that it is true of, in the order in which they were found.

    Bounded, however many are added: what exceeds 50 sentences is counted.

    Args:
        unit: what the numbers count: `row` or `line`.
        source: the file that the rows are in, which each sentence about it then begins with.
    """

    def __init__(self, unit: str = "row", source: str = "") -> None:
        self._unit = unit
        self._source = f"{source}: " if source else ""
        self._numbers: dict[str, list[int]] = {}
        self._counts: dict[str, int] = {}
        self._of_others: set[str] = set()
        self._more = 0

    def add(self, sentence: str, number: int | None = None, *, is_of_source: bool = True) -> None:
        """Add what is wrong with a row; None for what is wrong with the whole, or with something beside its source."""
        if sentence not in self._counts and len(self._counts) >= _MAX_SENTENCES:
            self._more += 1
            return
        numbers = self._numbers.setdefault(sentence, [])
        if not is_of_source:
            self._of_others.add(sentence)
        self._counts[sentence] = self._counts.get(sentence, 0) + 1
        if number is not None and len(numbers) < _MAX_NUMBERS:
            numbers.append(number)

    def raise_any(self) -> None:
        """Raise all of them.

        Raises:
            FloraInputError: there is at least one.
        """
        if self._counts:
            more = [f"and {self._more:,} more"] if self._more else []
            raise FloraInputError([*map(self._line, self._counts), *more])

    def _line(self, sentence: str) -> str:
        numbers, count = self._numbers[sentence], self._counts[sentence]
        if not numbers:
            return sentence if sentence in self._of_others else f"{self._source}{sentence}"
        names = [*map(str, numbers), *([f"{count - len(numbers):,} more"] if count > len(numbers) else [])]
        named = " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
        return f"{self._source}{self._unit}{'s' if count > 1 else ''} {named}: {sentence}"

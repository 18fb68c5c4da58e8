"""Questions that only a person can answer, numbered as they stand in the file."""

from __future__ import annotations

from typing import Final

ALIKE: Final[dict[str, str]] = {
    "unit": "Neither name nor message tells these units; they are guessed by size: ",
    "scale": "These whole numbers are taken for decimals, as their size suggests: ",
    "money": "Is this whole money, or hundredths ('scale: 0.01')? ",
    "register": (
        "These grow. How many digits has each register before the point? With 'register: {digits: "
        "6, decimals: 2}' a return to zero is told from a fall: "
    ),
    "absent": "Do these values mean that there is none? ",
}
"""Questions that are asked once for many fields."""


class Questions:
    """Questions in the order in which their marks stand in the file."""

    def __init__(self) -> None:
        self._asked: list[str] = []
        self._alike: dict[str, tuple[int, list[str]]] = {}

    def __len__(self) -> int:
        return len(self._asked)

    def ask(self, question: str) -> int:
        """Notes a question, once; its number."""
        if question not in self._asked:
            self._asked.append(question)
        return self._asked.index(question) + 1

    def ask_alike(self, what: str, of: str) -> int:
        """Notes one more field for a question of `ALIKE`; the question's number."""
        if what not in self._alike:
            self._alike[what] = (self.ask(ALIKE[what]), [])
        number, fields = self._alike[what]
        fields.append(of)
        return number

    @property
    def asked(self) -> list[str]:
        """All questions, whole."""
        whole = list(self._asked)
        for number, fields in self._alike.values():
            whole[number - 1] += "; ".join(fields) + "."
        return whole


def mark(*numbers: int) -> str:
    """The mark that stands beside a line; empty for no question."""
    return f"  # ? {', '.join(map(str, dict.fromkeys(numbers)))}" if numbers else ""

"""Numbers that come as text: what is taken off around them is taken off for good."""

import pytest

from gateway.drafting.fields import number_of
from gateway.profiles.scalars import epoch_text, hex_text, whole_text

# A separator that `str.strip` takes for a space, and `int` and `float` do not.
ODD = "\x1f"


@pytest.mark.parametrize(
    ("read", "wanted"),
    [
        (lambda: hex_text(f"{ODD}ff ", "a"), 255.0),
        (lambda: whole_text(f" 12{ODD}", 10), 12),
        (lambda: whole_text(f"0x1F{ODD}", 16), 31),
        (lambda: epoch_text(f"1700000000{ODD}"), 1_700_000_000),
        (lambda: epoch_text(f"1.5{ODD}"), 1.5),
        (lambda: number_of(f"0{ODD}"), 0.0),
    ],
    ids=["hexadecimal", "decimal", "hexadecimal word", "epoch", "part of a second", "a draft"],
)
def test_odd_spaces_around_a_number_are_no_part_of_it(read, wanted):
    assert read() == wanted

"""How many are sent at once, and who is to blame."""

from __future__ import annotations

from workbench.telemetry.portion import GIVE_UP_AFTER, GIVE_UP_AFTER_LARGE, Portion
from workbench.telemetry.sinks.base import RefusedBatchError

BAD = RefusedBatchError("bad")
LARGE = RefusedBatchError("large", too_large=True)


def names(number: int) -> list[str]:
    return [str(each) for each in range(number)]


def test_a_refused_batch_is_halved_and_a_taken_one_doubled():
    """100, 50, 25; and again 50, 100, never more than the sink's own most."""
    portion = Portion(100)
    portion.refused(names(100), BAD)
    portion.refused(names(50), BAD)
    sizes = [portion.size]
    for _ in range(3):
        portion.taken()
        sizes.append(portion.size)

    assert sizes == [25, 50, 100, 100]


def test_after_too_large_a_batch_it_grows_slowly():
    """Twice as many are tried after eight that were taken in a row."""
    portion = Portion(100)
    portion.refused(names(100), LARGE)
    sizes = []
    for _ in range(9):
        portion.taken()
        sizes.append(portion.size)

    assert sizes == [50] * 7 + [100, 100]


def test_a_suspect_is_to_blame_when_another_is_taken():
    """And then no longer a suspect."""
    portion = Portion(100)
    portion.refused(["a"], BAD)
    assert list(portion.suspects) == ["a"]

    assert portion.taken() == {"a": "bad"}
    assert portion.taken() == {}


def test_so_many_in_a_row_are_the_addresss_fault():
    """More of them where it is their size: long prompts come in a row."""
    portion = Portion(100)
    for number in range(GIVE_UP_AFTER):
        assert not portion.none_is_taken
        portion.refused([str(number)], BAD)
    assert portion.none_is_taken

    portion.forget()
    for number in range(GIVE_UP_AFTER_LARGE):
        assert not portion.none_is_taken
        portion.refused([str(number)], LARGE)
    assert portion.none_is_taken

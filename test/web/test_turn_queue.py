"""The floor: held, handed over, kept for who was lost; time is a number."""

from __future__ import annotations

from avatar_forcing_ros.web.floor import KEPT_S, Floor

LATER_S = KEPT_S + 1.0


def held_by(key: str) -> Floor:
    floor = Floor()
    floor.take("", key)
    return floor


def test_who_asks_first_is_offered_what_is_handed_over() -> None:
    floor = held_by("a")
    floor.ask("b", 0.0)
    floor.ask("c", 0.0)
    floor.ask("b", 0.0)  # asking twice is no second place
    assert floor.told("b") == {"held": True, "waiting": 2, "offered": False}
    floor.hand_over(0.0)
    assert [floor.may_take(key) for key in ("a", "b", "c", "")] == [False, True, False, False]
    assert floor.told("b")["offered"]
    assert not floor.told("c")["offered"]
    floor.take("b", "B")
    assert (floor.holder, floor.waiting, floor.turns) == ("B", 1, 1)


def test_an_offer_that_lapses_goes_to_the_next_and_then_to_anybody() -> None:
    floor = held_by("a")
    floor.ask("b", 0.0)
    floor.ask("c", 0.0)
    floor.hand_over(0.0)
    floor.pass_on(KEPT_S - 0.1)
    assert floor.may_take("b")
    floor.pass_on(LATER_S)
    assert (floor.may_take("b"), floor.may_take("c")) == (False, True)
    floor.pass_on(2 * LATER_S)
    assert floor.is_free
    assert floor.waiting == 0
    assert floor.turns == 1


def test_who_asks_for_a_free_floor_is_offered_it_at_once() -> None:
    floor = Floor()
    floor.ask("a", 0.0)
    assert floor.told("a")["offered"]
    floor.ask("b", 0.0)
    assert not floor.may_take("b")
    floor.left("a", 1.0)
    assert floor.told("b")["offered"]


def test_the_floor_is_kept_for_a_speaker_who_was_lost() -> None:
    floor = held_by("a")
    floor.ask("b", 0.0)
    floor.lost("a", 0.0)
    assert (floor.may_take("a"), floor.may_take("b")) == (True, False)
    assert floor.told("a") == {"held": True, "waiting": 1, "offered": False}
    floor.take("a", "A")
    assert (floor.holder, floor.turns) == ("A", 0)
    floor.lost("A", 0.0)
    floor.pass_on(LATER_S)
    assert (floor.may_take("A"), floor.may_take("b"), floor.turns) == (False, True, 1)


def test_leaving_frees_it_at_once_even_while_it_is_kept() -> None:
    floor = held_by("a")
    floor.left("a", 0.0)
    assert (floor.is_free, floor.turns) == (True, 1)
    floor.take("", "b")
    floor.lost("b", 0.0)
    floor.left("b", 0.0)
    assert (floor.is_free, floor.turns) == (True, 2)
    floor.left("nobody", 0.0)
    assert floor.turns == 2


def test_a_place_keeps_its_turn_under_another_name() -> None:
    floor = held_by("a")
    floor.ask("b", 0.0)
    floor.ask("c", 0.0)
    floor.rename("b", "B")
    floor.hand_over(0.0)
    floor.rename("B", "BB")
    assert floor.told("BB")["offered"]
    floor.lost("c", 0.0)
    assert floor.waiting == 1

"""Turns to talk: held, handed over, reserved for a lost holder; time is a number."""

from __future__ import annotations

from avatar_forcing_ros.web.turn_queue import FIRM_S, RESERVE_S, TurnQueue

LATER_S = RESERVE_S + 1.0


def held_by(key: str) -> TurnQueue:
    queue = TurnQueue()
    queue.take("", key)
    return queue


def test_the_first_in_line_is_offered_what_is_handed_over() -> None:
    queue = held_by("a")
    queue.request("b", 0.0)
    queue.request("c", 0.0)
    queue.request("b", 0.0)  # asking twice is no second place
    assert queue.state("b") == {"held": True, "waiting": 2, "asked": True, "offered": False}
    queue.hand_over(0.0)
    assert [queue.may_take(key) for key in ("a", "b", "c", "")] == [False, True, False, False]
    assert queue.state("b")["offered"]
    assert not queue.state("c")["offered"]
    queue.take("b", "B")
    assert (queue.holder, queue.waiting, queue.ended_turns) == ("B", 1, 1)


def test_an_offer_that_lapses_goes_to_the_next_and_then_to_anybody() -> None:
    queue = held_by("a")
    queue.request("b", 0.0)
    queue.request("c", 0.0)
    queue.hand_over(0.0)
    queue.expire(RESERVE_S - 0.1)
    assert queue.may_take("b")
    queue.expire(LATER_S)
    assert (queue.may_take("b"), queue.may_take("c")) == (False, True)
    queue.expire(2 * LATER_S)
    assert queue.is_free
    assert queue.waiting == 0
    assert queue.ended_turns == 1


def test_who_requests_a_free_turn_is_offered_it_at_once() -> None:
    queue = TurnQueue()
    queue.request("a", 0.0)
    assert queue.state("a")["offered"]
    queue.request("b", 0.0)
    assert not queue.may_take("b")
    queue.leave("a", 1.0)
    assert queue.state("b")["offered"]


def test_the_turn_is_reserved_for_a_holder_whose_connection_broke() -> None:
    queue = held_by("a")
    queue.request("b", 0.0)
    queue.lose("a", 0.0)
    assert (queue.may_take("a"), queue.may_take("b")) == (True, False)
    assert queue.state("a") == {"held": True, "waiting": 1, "asked": False, "offered": False}
    queue.take("a", "A")
    assert (queue.holder, queue.ended_turns) == ("A", 0)
    queue.lose("A", 0.0)
    queue.expire(LATER_S)
    assert (queue.may_take("A"), queue.may_take("b"), queue.ended_turns) == (False, True, 1)


def test_leaving_frees_it_at_once_even_while_it_is_reserved() -> None:
    queue = held_by("a")
    queue.leave("a", 0.0)
    assert (queue.is_free, queue.ended_turns) == (True, 1)
    queue.take("", "b")
    queue.lose("b", 0.0)
    queue.leave("b", 0.0)
    assert (queue.is_free, queue.ended_turns) == (True, 2)
    queue.leave("nobody", 0.0)
    assert queue.ended_turns == 2


def test_a_peer_keeps_its_place_in_line_under_another_key() -> None:
    queue = held_by("a")
    queue.request("b", 0.0)
    queue.request("c", 0.0)
    queue.rename("b", "B")
    queue.hand_over(0.0)
    queue.rename("B", "BB")
    assert queue.state("BB")["offered"]
    queue.lose("c", 0.0)
    assert queue.waiting == 1


def test_an_abandoned_join_frees_its_turn_or_gives_it_back() -> None:
    queue = held_by("a")
    queue.abandon("a", 0.0)
    assert (queue.is_free, queue.ended_turns) == (True, 1)
    queue = held_by("a")
    queue.lose("a", 0.0)
    queue.take("a", "A")
    queue.abandon("A", 1.0)  # it came again, but did not wait for the answer
    assert (queue.may_take("a"), queue.may_take("A"), queue.ended_turns) == (True, False, 0)
    queue.expire(1.0 + LATER_S)
    assert (queue.is_free, queue.ended_turns) == (True, 1)


def test_a_lost_holder_finds_the_turn_again_as_long_as_nobody_wants_it() -> None:
    queue = held_by("a")
    queue.lose("a", 2.0, alive_s=0.0)
    assert not queue.is_free
    queue.expire(FIRM_S - 0.1)
    assert [queue.may_take(key) for key in ("a", "b")] == [True, False]
    queue.expire(FIRM_S)
    assert [queue.may_take(key) for key in ("a", "b")] == [True, True]
    assert queue.ended_turns == 0  # what belongs to the turn is kept
    queue.take("a", "A")
    assert queue.ended_turns == 0
    queue.lose("A", 10.0)
    queue.expire(10.0 + FIRM_S)
    queue.take("", "b")
    assert (queue.holder, queue.ended_turns) == ("b", 1)


def test_who_waits_need_not_wait_for_a_lost_holder() -> None:
    queue = held_by("a")
    queue.request("b", 0.0)
    queue.lose("a", 1.0, alive_s=0.0)
    queue.expire(FIRM_S - 0.1)
    assert not queue.state("b")["offered"]
    queue.expire(FIRM_S)
    assert queue.state("b")["offered"]
    assert (queue.may_take("a"), queue.ended_turns) == (False, 1)
    queue = held_by("a")
    queue.lose("a", 0.0)
    queue.request("b", FIRM_S)
    assert queue.state("b")["offered"]


def test_who_withdraws_waits_no_more_and_an_offer_goes_to_the_next() -> None:
    queue = held_by("a")
    for key in ("b", "c", "d"):
        queue.request(key, 0.0)
    queue.withdraw("b", 0.0)
    assert (queue.waiting, queue.state("b")["asked"]) == (2, False)
    queue.hand_over(0.0)
    assert queue.state("c")["offered"]
    queue.withdraw("c", 0.0)
    assert (queue.state("c")["offered"], queue.state("d")["offered"]) == (False, True)
    queue.withdraw("d", 0.0)
    assert (queue.is_free, queue.waiting, queue.ended_turns) == (True, 0, 1)

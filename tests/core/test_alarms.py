from __future__ import annotations

from prunner.alarms import Alarms


def test_what_is_due_comes_in_the_order_of_time_and_of_setting():
    alarms = Alarms()
    for at, event in [(3.0, "c"), (1.0, "a"), (3.0, "d"), (2.0, "b")]:
        alarms.set(at, event)
    nexts = [alarms.next]
    assert alarms.due(0.5) == []
    assert alarms.due(2.0) == ["a", "b"]
    nexts.append(alarms.next)
    assert alarms.due(9.0) == ["c", "d"]
    assert [*nexts, alarms.next] == [1.0, 3.0, None]

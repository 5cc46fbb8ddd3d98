"""The schedule that stands for a film on many cores, against cases that can be counted by hand."""

import pytest

from benchmarks.scale import schedule


def test_one_core_does_all_in_turn_and_many_wait_for_the_longest():
    films = [(1.0, [5.0, 2.0, 3.0])]
    assert schedule(films, 1) == (11.0, 11.0)
    assert schedule(films, 100) == (6.0, 11.0)


def test_long_shots_go_first():
    assert schedule([(0.0, [1.0, 1.0, 1.0, 3.0])], 2)[0] == 3.0


def test_shots_wait_for_the_cuts_of_their_film_only():
    assert schedule([(10.0, [1.0]), (1.0, [4.0, 4.0])], 2)[0] == 11.0
    assert schedule([(10.0, [1.0]), (1.0, [4.0, 4.0])], 3)[0] == 11.0


def test_one_driver_starts_one_after_another():
    assert schedule([(0.0, [1.0] * 10)], 100, start_s=0.5)[0] == pytest.approx(0.5 + 9 * 0.5 + 1.0)

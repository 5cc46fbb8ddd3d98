"""Damaged files of every layout: some hundred each. `python -m tests.fuzz_imports` runs ten thousand."""

import random
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from solver.protocol import ShotError

pytest.importorskip("resource", reason="memory is limited as Linux does it")
from tests.fuzz_imports import CORPUS, READERS, damaged, mutate, run


@pytest.mark.parametrize("name", READERS)
def test_the_corpus_is_read(name):
    read, file = READERS[name]
    read(CORPUS / name / file)


@pytest.mark.parametrize("name", READERS)
@settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**32 - 1))
def test_damaged_files_end_in_one_clear_line(name, seed):
    with tempfile.TemporaryDirectory() as folder, np.errstate(all="ignore"):
        assert run(READERS[name][0], damaged(name, Path(folder), random.Random(seed))) == []


def test_the_fuzzer_sees_what_it_looks_for(tmp_path, monkeypatch):
    def writes(path):
        (tmp_path / "out").write_text("x")

    def lines(path):
        raise ShotError("two\nlines", "x")

    def hungry(path):
        try:
            np.zeros(3 << 30, np.uint8)
        except MemoryError as error:
            raise ShotError("too much", "x") from error

    def hangs(path):
        while True:
            pass

    monkeypatch.setattr("tests.fuzz_imports.HANG_S", 1)
    for wrong, read in (
        ("to write", writes),
        ("no line", lines),
        ("GB", hungry),
        ("hung", hangs),
        ("KeyError", lambda path: {}["x"]),
    ):
        assert any(wrong in found for found in run(read, tmp_path)), wrong
    assert run(lambda path: None, tmp_path) == []


@given(st.binary(max_size=200), st.integers())
@settings(max_examples=100, deadline=None)
def test_damage_is_the_same_for_the_same_seed(data, seed):
    assert mutate(data, random.Random(seed)) == mutate(data, random.Random(seed))

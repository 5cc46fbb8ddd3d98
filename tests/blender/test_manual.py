"""What README and manual name is there: commands, operators, buttons, pictures."""

import re
import shlex
from pathlib import Path

import pytest

from solver.__main__ import _parser
from tests.blender.test_translations import labels

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("README.md", "docs/manual.md", "docs/blender.md")


def text_of(page):
    return (ROOT / page).read_text(encoding="utf-8")


def test_the_solver_understands_every_command_of_the_readme():
    lines = re.findall(r"^python -m solver (.*?)(?:\s+#.*)?$", text_of("README.md"), re.MULTILINE)
    assert len(lines) > 6
    for line in lines:
        _parser().parse_args(shlex.split(line))


def test_make_knows_every_target_of_the_readme():
    targets = set(re.findall(r"^([\w-]+):", text_of("Makefile"), re.MULTILINE))
    named = set(re.findall(r"^make ([\w-]+)", text_of("README.md"), re.MULTILINE))
    assert {"demo", "test", "zip", "test-blender"} <= named <= targets


@pytest.mark.parametrize("page", PAGES)
def test_operators_that_are_named_are_there(blender, page):
    named = set(re.findall(r"\bshot\.([a-z_]+)\b", text_of(page))) - {"json", "mp4"}
    assert named <= set(dir(blender.ops.shot)), named - set(dir(blender.ops.shot))


def test_buttons_of_the_manual_are_there(blender):
    bold = set(re.findall(r"\*\*([^*]+)\*\*", text_of("docs/manual.md"))) - {"Reshoot"}
    assert len(bold) > 10
    assert bold <= labels(blender), bold - labels(blender)


@pytest.mark.parametrize("page", PAGES)
def test_pictures_are_there_and_small(page):
    for link in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", text_of(page)):
        assert ((ROOT / page).parent / link).stat().st_size < 150_000, link

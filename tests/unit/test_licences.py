"""Every asset is listed with the hash it has."""

import hashlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ASSETS = sorted(
    p for folder in ("solver/assets", "examples") for p in (ROOT / folder).rglob("*") if p.suffix in (".npz", ".onnx", ".glb", ".mp4")
)
ASSETS = [p for p in ASSETS if "truth" not in p.parts] + sorted((ROOT / "tests" / "data").glob("*.mp4"))


@pytest.mark.parametrize("path", ASSETS, ids=lambda p: p.name)
def test_asset_is_listed_with_its_hash(path):
    text = (ROOT / "docs" / "licences.md").read_text(encoding="utf-8")
    line = next((row for row in text.splitlines() if str(path.relative_to(ROOT)) in row), "")
    assert hashlib.sha256(path.read_bytes()).hexdigest() in line


def test_there_are_assets():
    assert len(ASSETS) >= 8

import pytest
import torch


@pytest.fixture(autouse=True)
def seeded():
    """A test that draws random numbers draws the same ones every time."""
    torch.manual_seed(0)

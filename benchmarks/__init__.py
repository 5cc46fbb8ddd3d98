"""Synthetic shots with exact truth, and what is measured on them."""

import solver  # noqa: F401  before numpy, which it holds to one thread as in the product

"""The contract suite for stores; `adapters.storage_contract.contract` explains how to run it."""

from pkgutil import iter_modules

import pytest

# Makes pytest show the values of failed assertions in the cases.
pytest.register_assert_rewrite(*(f"{__name__}.{module.name}" for module in iter_modules(__path__)))

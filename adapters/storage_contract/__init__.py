"""The suite that every store passes; `adapters.storage_contract.contract` says how to run it on another one."""

from pkgutil import iter_modules

import pytest

# So that a failed assertion in a case tells the values on both sides.
pytest.register_assert_rewrite(*(f"{__name__}.{module.name}" for module in iter_modules(__path__)))

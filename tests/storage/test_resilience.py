import json

import pytest

from adapters.dynamodb.items import decoded_item
from adapters.resilience import is_raised_by


def test_what_a_driver_raises_is_told_from_a_mistake_of_ours_by_where_it_is_raised() -> None:
    with pytest.raises(ValueError, match="Expecting") as mistake:
        json.loads("{")
    assert is_raised_by(mistake.value, "json")
    assert not is_raised_by(mistake.value, "pymongo", "bson")


def test_a_mistake_of_ours_is_ours_even_if_a_driver_calls_it() -> None:
    with pytest.raises(AttributeError) as mistake:
        json.loads('{"no": "item"}', object_hook=decoded_item)
    assert not is_raised_by(mistake.value, "json")

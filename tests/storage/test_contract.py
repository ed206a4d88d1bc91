from collections import Counter

from adapters.storage_contract.contract import PersistentStorageContract


def test_no_case_of_the_contract_hides_another_one_of_the_same_name() -> None:
    groups = (vars(group) for group in PersistentStorageContract.__mro__)
    names = Counter(name for group in groups for name in group if name.startswith("test_"))
    assert [name for name, times in names.items() if times > 1] == []

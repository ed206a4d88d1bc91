"""Bugs in the memory adapter."""

from collections.abc import Sequence
from functools import partial
from typing import Final

from tests.mutation.bug import Bug

_storage = partial(Bug, file="adapters/memory/storage.py", store="memory")
_tables = partial(Bug, file="adapters/memory/tables.py", store="memory")
_table = partial(Bug, file="adapters/memory/table.py", store="memory")

BUGS: Final[Sequence[Bug]] = (
    _storage(
        what="a failed commit is not taken back",
        where="MemoryUnitOfWork.commit",
        node="For 2",
        new="pass",
    ),
    _storage(
        what="a failed commit is taken back first things first",
        where="MemoryUnitOfWork.commit",
        node="Call 4",
        new="journal",
    ),
    _storage(
        what="a failed commit stays staged",
        where="MemoryUnitOfWork.commit",
        node="Call 2",
        new="pass",
    ),
    _storage(
        what="a commit applies its writes backwards",
        where="MemoryUnitOfWork.commit",
        node="Name 7",
        new="reversed(writes)",
    ),
    _storage(
        what="a commit's failure is swallowed",
        where="MemoryUnitOfWork.commit",
        node="Raise",
        new="return",
    ),
    _storage(
        what="a page of users ignores skip",
        where="_Repository.page",
        node="Call 2",
        new="islice(self._rows(owner).walk(after, descending=descending), limit)",
    ),
    _storage(
        what="skipped records count towards the limit",
        where="_Repository.page",
        node="BinOp 3",
        new="limit",
    ),
    _storage(
        what="a page of records is always ascending",
        where="_Repository.page",
        node="Call 3",
        new="self._rows(owner).walk(after)",
    ),
    _storage(
        what="a page of one owner's records is of everybody's",
        where="_Repository._rows",
        node="IfExp",
        new="self._table.rows",
    ),
    _storage(
        what="a search looks within the texts",
        where="MemoryUserRepository._starting_with",
        node="Call 3",
        new="prefix in key",
    ),
    _storage(
        what="a search has no limit",
        where="MemoryUserRepository.search",
        node="Call 2",
        new="self._starting_with(prefix, descending=descending)",
    ),
    _storage(
        what="disabled admins are found",
        where="MemoryUserRepository.active_admins",
        node="Attribute 4",
        new="user.role",
    ),
    _storage(
        what="a user is found by an email as it is written",
        where="MemoryUserRepository.find_by_email",
        node="Attribute 3",
        new="email.address",
    ),
    _storage(
        what="a required user is not looked at",
        where="_Repository.require",
        node="Call 2",
        new="isinstance(entity, User) or self._require(entity)",
    ),
    _storage(
        what="a required record is not looked at",
        where="_Repository.require",
        node="Call 2",
        new="not isinstance(entity, User) or self._require(entity)",
    ),
    _storage(
        what="a record that no store could keep is staged by an addition",
        where="MemoryRecords.add",
        node="Call 1",
        new="len('')",
    ),
    _storage(
        what="a saved record is not checked when it is staged",
        where="MemoryRecords.save",
        node="Call 1",
        new="pass",
    ),
    _storage(
        what="a removal takes nothing along",
        where="MemoryUserRepository.remove",
        node="Attribute 3",
        new="self._table.remove",
    ),
    _tables(
        what="a user's id is overwritten",
        where="RecordTable.add",
        node="Compare 1",
        new="self._type.owner_of(record) is not None and self._type.key_of(record) in self.rows",
    ),
    _tables(
        what="an email is not unique",
        where="RecordTable._put",
        node="Compare 1",
        new='name != "email" and value in self._rows_by_value[name]',
    ),
    _tables(
        what="a username is not unique",
        where="RecordTable._put",
        node="Compare 1",
        new='name != "username" and value in self._rows_by_value[name]',
    ),
    _tables(
        what="a changed email stays taken",
        where="RecordTable._delete",
        node="Call 2",
        new='table is self._rows_by_value.get("email") or table.delete(key, journal)',
    ),
    _tables(
        what="a user is saved at any version",
        where="RecordTable.save",
        node="BinOp",
        new="self.rows.get(self._type.key_of(record)).version",
    ),
    _tables(
        what="a removal asks for the version after the one that was read",
        where="RecordTable.remove",
        node="Attribute 3",
        new="record.version + 1",
    ),
    _tables(
        what="any older version of a user will do",
        where="RecordTable.require",
        node="Compare 2",
        new="stored.version > version",
    ),
    _tables(
        what="a key is used twice",
        where="RecordTable.add",
        node="If 1",
        new="pass",
    ),
    _tables(
        what="a record needs no owner",
        where="RecordTable.add",
        node="BoolOp",
        new="owner is None",
    ),
    _tables(
        what="any older version of a record will do",
        where="RecordTable.require",
        node="Compare 2",
        new="stored.version < version",
    ),
    _tables(
        what="a record is saved at any version",
        where="RecordTable.save",
        node="Call 2",
        new="self.rows.get(self._type.key_of(record))",
    ),
    _tables(
        what="a record that was saved stays due as before",
        where="RecordTable._delete",
        node="Call 2",
        new="table is self._rows_by_due or table.delete(key, journal)",
    ),
    _tables(
        what="a removed record stays in its owner's list",
        where="RecordTable._delete",
        node="Call 2",
        new="table in self._rows_by_owner.values() or table.delete(key, journal)",
    ),
    _tables(
        what="a removed record's unique values stay taken",
        where="RecordTable._delete",
        node="Call 2",
        new="table in self._rows_by_value.values() or table.delete(key, journal)",
    ),
    _tables(
        what="unique values are not unique",
        where="RecordTable._put",
        node="If 1",
        new="pass",
    ),
    _tables(
        what="a collision is always told as one of ids",
        where="RecordTable._put",
        node="Subscript 2",
        new="IdTaken",
    ),
    _tables(
        what="records that are due this very moment are not found",
        where="RecordTable.due",
        node="Compare 2",
        new="due >= moment",
    ),
    _tables(
        what="due records are given without a limit",
        where="RecordTable.due",
        node="BoolOp",
        new="due is None or due > moment",
    ),
    _tables(
        what="records that belonged to a removed user are due",
        where="RecordTable.remove_owned",
        node="Call 7",
        new="table is self._rows_by_due or table.delete_all(keys, journal)",
    ),
    _tables(
        what="records that belonged to a removed user are found by key",
        where="RecordTable.remove_owned",
        node="Call 7",
        new="table is self.rows or table.delete_all(keys, journal)",
    ),
    _tables(
        what="unique values of records that went with their owner stay taken",
        where="RecordTable.remove_owned",
        node="Call 7",
        new="table in self._rows_by_value.values() or table.delete_all(keys, journal)",
    ),
    _tables(
        what="a removal takes the records of one type only",
        where="Tables.remove_user",
        node="Call 2",
        new="[*self._records.values()][:1]",
    ),
    _table(
        what="a descending walk begins at the place itself",
        where="Table.walk",
        node="Name 8",
        new="bisect_right",
    ),
    _table(
        what="an ascending walk begins at the place itself",
        where="Table.walk.start",
        node="Name 3",
        new="bisect_left",
    ),
    _table(
        what="rows are in the order of their arrival",
        where="Table.put",
        node="Call 1",
        new="self._keys.append(key)",
    ),
    _table(
        what="an added row is not taken back",
        where="Table.put",
        node="Call 2",
        new="pass",
    ),
    _table(
        what="a deleted row is not taken back",
        where="Table.delete",
        node="Call 2",
        new="pass",
    ),
    _table(
        what="rows that were deleted together are not taken back",
        where="Table.delete_all",
        node="Call 2",
        new="pass",
    ),
)

"""Bugs in the examples: the same mistakes with every ORM, so that their figures compare."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final

from tests.mutation.bug import Bug

SUITES: Final[Mapping[str, str]] = {
    "userport-sqlalchemy-orm": "test_sqlalchemy_orm.py::TestOnSqlite",
    "userport-tortoise": "test_tortoise.py::TestOnSqlite",
    "userport-piccolo": "test_piccolo.py::TestPiccoloStorage",
    "userport-pony": "test_pony.py::TestPonyStorage",
}
"""The contract's cases of each example, on its fastest database."""

_SAVE: Final = "a save ignores the version"
_REMOVAL: Final = "a removal ignores the version"
_REQUIREMENT: Final = "a required record may be at any version"
_EMAIL: Final = "an email may have two owners"
_UNIQUE: Final = "the first unique field of a record is not unique"
_OWNER: Final = "the records of a removed user stay, without an owner"
_FILTER: Final = "the records of one owner are those of all"
_SEARCH: Final = "a search has no end"
_ORDER: Final = "a page is never in descending order"
_DUE: Final = "a record is not due at the very moment"
_ADMINS: Final = "a disabled admin is an active one"
_TRANSACTION: Final = "a commit is not a transaction"
_SUCCESS: Final = "a commit that no database answers is a success"

_WITHOUT_ANSWER: Final = """\
try:
                {}
            except Exception as error:
                if type(error).__name__ != "StorageUnavailable":
                    raise"""


def _in(example: str, module: str) -> "partial[Bug]":
    return partial(Bug, file=f"examples/{example}/{example.replace('-', '_')}/{module}.py", store=example)


_orm_models = _in("userport-sqlalchemy-orm", "models")
_orm_repositories = _in("userport-sqlalchemy-orm", "repositories")
_orm_storage = _in("userport-sqlalchemy-orm", "storage")
_orm_writes = _in("userport-sqlalchemy-orm", "writes")
_tortoise_database = _in("userport-tortoise", "database")
_tortoise_models = _in("userport-tortoise", "models")
_tortoise_repositories = _in("userport-tortoise", "repositories")
_piccolo_database = _in("userport-piccolo", "database")
_piccolo_repositories = _in("userport-piccolo", "repositories")
_piccolo_storage = _in("userport-piccolo", "storage")
_piccolo_tables = _in("userport-piccolo", "tables")
_pony_repositories = _in("userport-pony", "repositories")
_pony_storage = _in("userport-pony", "storage")
_pony_tables = _in("userport-pony", "tables")
_pony_writes = _in("userport-pony", "staged_writes")

_SQLALCHEMY_ORM: Final = (
    _orm_writes(
        what=_SAVE,
        where="_apply",
        node="Compare 4",
        new='write.verb != "save" and row.version != write.version',
    ),
    _orm_writes(
        what=_REMOVAL,
        where="_apply",
        node="Compare 4",
        new='write.verb != "remove" and row.version != write.version - (write.verb == "save")',
    ),
    _orm_writes(
        what=_REQUIREMENT,
        where="_apply",
        node="Compare 4",
        new='write.verb != "require" and row.version != write.version - (write.verb == "save")',
    ),
    _orm_models(what=_EMAIL, where="UserModel.email_key", node="Call", new="mapped_column()"),
    _orm_models(what=_UNIQUE, where="RecordModel.__table_args__", node="Constant 2", new='"unique_2"'),
    _orm_models(what=_OWNER, where="RecordModel.owner_id", node="Constant 3", new='"SET NULL"'),
    _orm_repositories(what=_FILTER, where="OrmRecords._owned_by", node="IfExp", new="self._rows"),
    _orm_repositories(what=_SEARCH, where="_starts_with.end", node="Call", new="None"),
    _orm_repositories(what=_ORDER, where="_page", node="IfExp 2", new="by"),
    _orm_repositories(what=_DUE, where="OrmRecords.due", node="Compare", new="RecordModel.due < moment"),
    _orm_repositories(
        what=_ADMINS, where="OrmUserRepository.active_admins.admins", node="Attribute 5", new="UserModel.version > 0"
    ),
    _orm_writes(
        what=_TRANSACTION,
        where="apply_writes",
        node="Expr 2",
        new='await session.flush(), await (await session.connection()).exec_driver_sql("COMMIT")',
    ),
    _orm_storage(
        what=_SUCCESS,
        where="OrmUnitOfWork.commit",
        node="Expr 2",
        new=_WITHOUT_ANSWER.format("await self._sessions.commit(partial(apply_writes, writes))"),
    ),
)

_TORTOISE: Final = (
    _tortoise_repositories(
        what=_SAVE, where="_Repository.save", node="Call 6", new="self._model.filter(**self._key(entity))"
    ),
    _tortoise_repositories(
        what=_REMOVAL, where="_Repository.remove", node="Call 3", new="self._model.filter(**self._key(entity))"
    ),
    _tortoise_repositories(
        what=_REQUIREMENT, where="_Repository.require", node="Call 4", new="self._model.filter(**self._key(entity))"
    ),
    _tortoise_models(what=_EMAIL, where="define_models.User.email_key", node="Call", new="ExactText()"),
    _tortoise_models(what=_UNIQUE, where="define_models.Record.Meta.unique_together", node="Constant 4", new='"id"'),
    _tortoise_models(what=_OWNER, where="define_models.Record.owner", node="Attribute 3", new="fields.SET_NULL"),
    _tortoise_repositories(what=_FILTER, where="TortoiseRecords._of", node="IfExp", new="records"),
    _tortoise_repositories(what=_SEARCH, where="TortoiseUserRepository._starting_with.upper", node="Call", new="None"),
    _tortoise_repositories(what=_ORDER, where="_Repository._paged", node="IfExp 2", new="key"),
    _tortoise_repositories(what=_DUE, where="TortoiseRecords.due", node="keyword 1", new="due__lt=moment"),
    _tortoise_repositories(
        what=_ADMINS,
        where="TortoiseUserRepository.active_admins.admins",
        node="Dict",
        new='{"role": Role.ADMIN.value}',
    ),
    _tortoise_database(
        what=_TRANSACTION,
        where="Database.transact.attempt",
        node="Call 1",
        new='__import__("contextlib").nullcontext()',
    ),
    _tortoise_repositories(
        what=_SUCCESS,
        where="TortoiseUnitOfWork.commit",
        node="Expr",
        new=_WITHOUT_ANSWER.format("await self.database.transact(writes)"),
    ),
)

_PICCOLO: Final = (
    _piccolo_repositories(what=_SAVE, where="_Repository.save.update", node="Call 4", new="self._is(entity)"),
    _piccolo_repositories(what=_REMOVAL, where="_Repository.remove.delete", node="Call 3", new="self._is(entity)"),
    _piccolo_repositories(what=_REQUIREMENT, where="_Repository.require.at", node="Call", new="self._is(entity)"),
    _piccolo_tables(what=_EMAIL, where="UserTable.email_key", node="Call", new="ExactText()"),
    _piccolo_tables(what=_UNIQUE, where="RecordTable.records_unique_1", node="Constant 2", new='"id"'),
    _piccolo_tables(what=_OWNER, where="RecordTable.owner_id", node="Attribute", new="OnDelete.set_null"),
    _piccolo_repositories(what=_FILTER, where="PiccoloRecords._of", node="IfExp", new="[self._is_ours]"),
    _piccolo_repositories(what=_SEARCH, where="_starts_with.upper", node="Call", new="None"),
    _piccolo_repositories(what=_ORDER, where="_Repository._page", node="UnaryOp", new="True"),
    _piccolo_repositories(what=_DUE, where="PiccoloRecords.due.due", node="Compare", new="RecordTable.due < moment"),
    _piccolo_repositories(
        what=_ADMINS,
        where="PiccoloUserRepository.active_admins.is_admin",
        node="Compare 2",
        new="UserTable.version > 0",
    ),
    _piccolo_database(
        what=_TRANSACTION,
        where="Database.transact.attempt",
        node="Call 1",
        new='__import__("contextlib").nullcontext()',
    ),
    _piccolo_storage(
        what=_SUCCESS,
        where="PiccoloUnitOfWork.commit",
        node="Expr",
        new=_WITHOUT_ANSWER.format("await self._database.transact(writes)"),
    ),
)

_WITHOUT_VERSION: Final = '_equal({name: value for name, value in values.items() if name != "version"})'

_PONY: Final = (
    _pony_writes(
        what=_SAVE,
        where="StagedWrites.save.statement",
        node="JoinedStr",
        new='f"UPDATE {table} SET {changes} WHERE {conditions}"',
    ),
    _pony_writes(
        what=_REMOVAL,
        where="StagedWrites.remove",
        node="Call 2",
        new=f'_changing_one_row(f"DELETE FROM {{table}} WHERE " + {_WITHOUT_VERSION}, values)',  # noqa: S608
    ),
    _pony_writes(
        what=_REQUIREMENT,
        where="StagedWrites.require.check",
        node="Call 2",
        new=f'db.execute(f"SELECT 1 FROM {{table}} WHERE " + {_WITHOUT_VERSION}, values)',  # noqa: S608
    ),
    _pony_tables(
        what=_EMAIL,
        where="define_entities.User.email_key",
        node="Call",
        new="orm.Required(str, autostrip=False)",
    ),
    _pony_tables(what=_UNIQUE, where="define_entities.Record", node="Expr 2", new="pass"),
    _pony_tables(what=_OWNER, where="define_entities.User.records", node="Constant 2", new="False"),
    _pony_repositories(what=_FILTER, where="PonyRecords._select", node="BoolOp", new="row.type_name == name"),
    _pony_repositories(what=_SEARCH, where="_starting_with", node="Call 2", new="user.name_key >= prefix"),
    _pony_repositories(what=_ORDER, where="_paged.ordered", node="IfExp", new="(lambda row: row.id)"),
    _pony_repositories(what=_DUE, where="PonyRecords.due.read", node="Compare", new="row.due < latest"),
    _pony_repositories(
        what=_ADMINS, where="PonyUserRepository.active_admins.read", node="BoolOp", new="user.role == _ADMIN"
    ),
    _pony_storage(what=_TRANSACTION, where="PonyUnitOfWork.commit.apply", node="Call", new="write(db), db.commit()"),
    _pony_storage(
        what=_SUCCESS,
        where="PonyUnitOfWork.commit",
        node="Expr 2",
        new=_WITHOUT_ANSWER.format("await self._database.write(apply)"),
    ),
)

BUGS: Final[Sequence[Bug]] = (*_SQLALCHEMY_ORM, *_TORTOISE, *_PICCOLO, *_PONY)

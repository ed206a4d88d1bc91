from domain.records import Json
from tortoise import fields
from tortoise.indexes import Index
from tortoise.models import Model


class ExactText(fields.Field[str], str):  # type: ignore[misc] # as Tortoise's own fields are
    """A text that is compared by code points, for every collation of the database."""

    SQL_TYPE = "TEXT"

    class _db_postgres:  # noqa: N801 - Tortoise looks for this name
        SQL_TYPE = 'TEXT COLLATE "C"'


def define_models() -> tuple[type[Model], type[Model]]:
    """Return the models of users and of records, for one kind of database. Tortoise gives a model one dialect."""

    class User(Model):
        id = ExactText(primary_key=True)
        email = ExactText()
        email_key = ExactText(unique=True)
        name = ExactText()
        name_key = ExactText(db_index=True)
        username = ExactText(null=True)
        username_key = ExactText(null=True, unique=True)
        bio = ExactText(null=True)
        role = ExactText()
        active = fields.BooleanField()
        email_verified = fields.BooleanField()
        version = fields.BigIntField()
        created_at = fields.DatetimeField()
        updated_at = fields.DatetimeField()

        class Meta:
            table = "users"
            indexes = (Index(fields=("role", "active", "id")),)

    class Record(Model):
        """A record of any type: searched fields have columns, everything else is JSON."""

        id = fields.BigIntField(primary_key=True)
        type_name = ExactText()
        key = ExactText()
        owner: fields.ForeignKeyNullableRelation[User] = fields.ForeignKeyField(
            "userport.User", related_name="records", null=True, on_delete=fields.CASCADE
        )
        due = fields.DatetimeField(null=True)
        version = fields.BigIntField()
        content = fields.JSONField[dict[str, Json]]()
        unique_1 = ExactText(null=True)
        unique_2 = ExactText(null=True)
        unique_3 = ExactText(null=True)

        class Meta:
            table = "records"
            unique_together = (
                ("type_name", "key"),
                *(("type_name", unique) for unique in ("unique_1", "unique_2", "unique_3")),
            )
            indexes = (Index(fields=("owner_id", "type_name", "key")), Index(fields=("type_name", "due", "key")))

    return User, Record

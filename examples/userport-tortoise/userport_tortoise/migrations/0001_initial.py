from tortoise import fields, migrations
from tortoise.fields.base import OnDelete
from tortoise.indexes import Index
from tortoise.migrations import operations as ops

from userport_tortoise.models import ExactText


class Migration(migrations.Migration):
    initial = True

    operations = [  # noqa: RUF012 - as Tortoise writes it
        ops.CreateModel(
            name="User",
            fields=[
                ("id", ExactText(primary_key=True, unique=True, db_index=True, generated=False, null=False)),
                ("email", ExactText(generated=False, null=False, unique=False)),
                ("email_key", ExactText(unique=True, generated=False, null=False)),
                ("name", ExactText(generated=False, null=False, unique=False)),
                ("name_key", ExactText(db_index=True, generated=False, null=False, unique=False)),
                ("username", ExactText(null=True, generated=False, unique=False)),
                ("username_key", ExactText(null=True, unique=True, generated=False)),
                ("bio", ExactText(null=True, generated=False, unique=False)),
                ("role", ExactText(generated=False, null=False, unique=False)),
                ("active", fields.BooleanField()),
                ("email_verified", fields.BooleanField()),
                ("version", fields.BigIntField()),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ("updated_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "users",
                "app": "userport",
                "indexes": [Index(fields=["role", "active", "id"])],
                "pk_attr": "id",
            },
            bases=["UserModel"],
        ),
        ops.CreateModel(
            name="Record",
            fields=[
                ("id", fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ("type", ExactText(generated=False, null=False, unique=False)),
                ("key", ExactText(generated=False, null=False, unique=False)),
                (
                    "owner",
                    fields.ForeignKeyField(
                        "userport.User",
                        source_field="owner_id",
                        null=True,
                        db_constraint=True,
                        to_field="id",
                        related_name="records",
                        on_delete=OnDelete.CASCADE,
                    ),
                ),
                ("due", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("version", fields.BigIntField()),
                ("content", fields.JSONField()),
                ("unique_1", ExactText(null=True, generated=False, unique=False)),
                ("unique_2", ExactText(null=True, generated=False, unique=False)),
                ("unique_3", ExactText(null=True, generated=False, unique=False)),
            ],
            options={
                "table": "records",
                "app": "userport",
                "unique_together": (("type", "key"), ("type", "unique_1"), ("type", "unique_2"), ("type", "unique_3")),
                "indexes": [Index(fields=["owner_id", "type", "key"]), Index(fields=["type", "due", "key"])],
                "pk_attr": "id",
            },
            bases=["RecordModel"],
        ),
    ]

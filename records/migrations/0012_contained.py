from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("records", "0011_of_nobody"),
    ]

    operations = [
        migrations.CreateModel(
            name="Contained",
            fields=[
                ("resource", models.BigIntegerField(primary_key=True, serialize=False)),
                ("container", models.BigIntegerField()),
                ("type", models.SmallIntegerField()),
                ("id", models.TextField(db_collation="C")),
                ("occurred", models.BigIntegerField()),
            ],
            options={
                "db_table": "contained",
                "indexes": [
                    models.Index(fields=["container"], name="contained_container"),
                    models.Index(fields=["type", "-occurred", "-resource"], name="contained_occurred"),
                ],
            },
        ),
        migrations.CreateModel(
            name="ContainedKind",
            fields=[
                ("pk", models.CompositePrimaryKey("holder", "param", "type", blank=True, editable=False, primary_key=True, serialize=False)),
                ("holder", models.SmallIntegerField()),
                ("param", models.BigIntegerField()),
                ("type", models.SmallIntegerField()),
            ],
            options={"db_table": "contained_kind"},
        ),
    ]

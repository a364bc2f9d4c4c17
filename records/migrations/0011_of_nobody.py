from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("records", "0010_attached"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="resource",
            index=models.Index(
                fields=["author", "type"],
                condition=models.Q(deleted=False) & models.Q(patient=None),
                name="resource_of_nobody",
            ),
        ),
    ]

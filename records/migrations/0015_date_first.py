from django.db import migrations, models


class Migration(migrations.Migration):
    """The number of a date within its parameter: who sorts by the first of many resources reads the index alone."""

    dependencies = [("records", "0014_part")]

    operations = [
        migrations.RemoveIndex(model_name="date", name="date_low"),
        migrations.AddIndex(
            model_name="date", index=models.Index(fields=["param", "low", "resource", "n"], name="date_low")
        ),
    ]

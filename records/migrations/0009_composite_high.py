from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("records", "0008_text_position"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="composite",
            index=models.Index(fields=["key", "high"], name="composite_high", condition=models.Q(high__gt=models.F("low"))),
        ),
    ]

"""A purpose of use stays with what a person authorised; which ones a client may state."""

import django.contrib.postgres.fields
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('accessctl', '0018_majority'),
    ]

    operations = [
        migrations.AddField(
            model_name='authorization',
            name='purpose',
            field=models.CharField(max_length=40, null=True),
        ),
        migrations.AddField(
            model_name='client',
            name='purposes',
            field=django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=40), db_default=[], default=list, size=None),
        ),
    ]

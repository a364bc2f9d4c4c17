import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('records', '0003_index_tables'),
    ]

    operations = [
        migrations.CreateModel(
            name='LoadedInput',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('sha256', models.BinaryField(unique=True)),
                ('path', models.TextField()),
                ('size', models.BigIntegerField()),
                ('modified', models.BigIntegerField()),
                ('finished', models.DateTimeField(null=True)),
                ('since', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                'db_table': 'loaded_input',
            },
        ),
        migrations.CreateModel(
            name='LoadedRange',
            fields=[
                ('pk', models.CompositePrimaryKey('input', 'start', blank=True, editable=False, primary_key=True, serialize=False)),
                ('input', models.BigIntegerField()),
                ('start', models.BigIntegerField()),
                ('until', models.BigIntegerField()),
            ],
            options={
                'db_table': 'loaded_range',
            },
        ),
    ]

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("django_cachepatterns", "0001_initial")]

    operations = [
        migrations.CreateModel(
            name="DirectWrite",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("buffer", models.CharField(max_length=200)),
                (
                    "member",
                    models.CharField(help_text="The primary key of the row.", max_length=80),
                ),
                (
                    "column",
                    models.CharField(blank=True, help_text="Empty: all of them.", max_length=100),
                ),
                (
                    "at",
                    models.BigIntegerField(
                        help_text="Microseconds since 1970, by the writer's clock."
                    ),
                ),
            ],
            options={
                "db_table": "cachepatterns_direct_write",
                "constraints": [
                    models.UniqueConstraint(
                        fields=("buffer", "member", "column"),
                        name="cachepatterns_direct_write_once",
                    )
                ],
            },
        ),
    ]

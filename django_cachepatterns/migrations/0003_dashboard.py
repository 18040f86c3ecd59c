from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("django_cachepatterns", "0002_direct_write")]

    operations = [
        # It has no table: it is there for its permissions.
        migrations.CreateModel(
            name="Dashboard",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
            ],
            options={
                "verbose_name": "dashboard",
                "verbose_name_plural": "dashboard",
                "permissions": (
                    ("view_dashboard", "Can view the dashboard"),
                    ("operate_cache", "Can invalidate, warm, flush and retry on the dashboard"),
                    ("view_payloads", "Can read what cache entries hold on the dashboard"),
                ),
                "managed": False,
                "default_permissions": (),
            },
        ),
    ]

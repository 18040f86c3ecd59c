from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("shop", "0001_initial")]

    operations = [
        migrations.AddField(
            model_name="product",
            name="views",
            field=models.PositiveBigIntegerField(default=0, editable=False),
        ),
    ]

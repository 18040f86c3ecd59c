from __future__ import annotations

import pytest
from django.core.management import call_command
from django.test import Client

from example_project.shop.factories import ProductFactory, ReviewFactory, create_shop
from example_project.shop.models import Product, Review

pytestmark = pytest.mark.django_db


def test_catalog_leads_to_categories_and_categories_to_products(client: Client) -> None:
    product = ProductFactory()
    catalog = client.get("/").content.decode()
    category = client.get(product.category.get_absolute_url()).content.decode()
    assert product.category.get_absolute_url() in catalog
    assert product.get_absolute_url() in category


def test_product_page_shows_its_reviews(client: Client) -> None:
    review = ReviewFactory()
    page = client.get(review.product.get_absolute_url()).content.decode()
    assert review.product.description in page
    assert review.body in page


def test_page_of_an_unknown_product_is_not_found(client: Client) -> None:
    assert client.get("/product/unknown/").status_code == 404


def test_a_sale_is_seen_on_the_next_page(client: Client) -> None:
    url = ProductFactory(sold=41).get_absolute_url()
    assert "41 sold" in client.get(url).content.decode()
    assert client.post(f"{url}buy/", follow=True).redirect_chain == [(url, 302)]
    assert "42 sold" in client.get(url).content.decode()


def test_buying_takes_a_post(client: Client) -> None:
    assert client.get(f"{ProductFactory().get_absolute_url()}buy/").status_code == 405


def test_a_shop_can_be_made_in_bulk() -> None:
    create_shop(products=50, categories=5)
    assert Product.objects.values("category").distinct().count() == 5
    assert (Product.objects.count(), Review.objects.count()) == (50, 5)


def test_migrations_are_up_to_date() -> None:
    call_command("makemigrations", "shop", check=True, dry_run=True)

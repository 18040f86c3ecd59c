from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.contrib.staticfiles import finders
from django.core.management import call_command
from django.templatetags.static import static
from django.test import Client

from example_project.shop.factories import (
    CategoryFactory,
    ProductFactory,
    ReviewFactory,
    create_shop,
)
from example_project.shop.models import Product, Review, best_sellers

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _settings_of_the_shop(settings: Any) -> None:
    from example_project.config import settings as shop

    settings.SESSION_ENGINE = shop.SESSION_ENGINE
    settings.AUTHENTICATION_BACKENDS = shop.AUTHENTICATION_BACKENDS


def page(client: Client, url: str) -> str:
    response = client.get(url)
    assert response.status_code == 200
    return response.content.decode()


def test_catalog_leads_to_categories_and_categories_to_products(client: Client) -> None:
    product = ProductFactory()
    assert product.category.get_absolute_url() in page(client, "/")
    assert product.get_absolute_url() in page(client, product.category.get_absolute_url())


def test_product_page_shows_its_reviews(client: Client) -> None:
    review = ReviewFactory()
    shown = page(client, review.product.get_absolute_url())
    assert review.product.description in shown
    assert review.body in shown
    second = ReviewFactory(product=review.product)
    assert second.body in page(client, review.product.get_absolute_url())


def test_page_of_an_unknown_product_is_not_found(client: Client) -> None:
    assert client.get("/product/unknown/").status_code == 404


def test_every_page_is_without_sql_the_second_time(
    client: Client, django_assert_num_queries: Any
) -> None:
    review = ReviewFactory()
    product = review.product
    pages = ["/", product.get_absolute_url(), product.category.get_absolute_url()]
    pages += [f"/search/?q={product.name.split()[-1]}", "/search/", "/cart/"]
    for url in pages * 2:
        page(client, url)  # A search is kept from the second time on.
    for url in pages:
        with django_assert_num_queries(0):
            page(client, url)


def test_catalog_counts_what_there_is_now(client: Client) -> None:
    product = ProductFactory()
    assert "1 product<" in page(client, "/")
    ProductFactory(category=product.category)
    assert "2 products<" in page(client, "/")
    CategoryFactory(name="Hats")
    assert "Hats" in page(client, "/")
    Product.objects.update(active=False)
    assert "0 products<" in page(client, "/")


def test_a_category_shows_its_best_sellers_first(client: Client) -> None:
    first, second = ProductFactory(sold=2), ProductFactory(sold=1)
    second.category = first.category
    second.save()
    url = first.category.get_absolute_url()
    assert page(client, url).index(first.name) < page(client, url).index(second.name)
    client.post(f"{second.get_absolute_url()}buy/")
    client.post(f"{second.get_absolute_url()}buy/")
    assert best_sellers.flush().rows == 1
    assert page(client, url).index(second.name) < page(client, url).index(first.name)


def test_a_sale_leaves_other_categories_cached(
    client: Client, django_assert_num_queries: Any
) -> None:
    sold, other = ProductFactory(), ProductFactory()
    urls = [each.category.get_absolute_url() for each in (sold, other)]
    for url in urls * 2:
        page(client, url)
    sold.sold += 1
    sold.save()
    with django_assert_num_queries(0):
        page(client, urls[1])
    assert "1 sold" in page(client, urls[0])


def test_a_product_that_moves_is_in_its_new_category(client: Client) -> None:
    product, other = ProductFactory(), CategoryFactory()
    before, after = product.category.get_absolute_url(), other.get_absolute_url()
    assert product.name in page(client, before)
    assert product.name not in page(client, after)
    product.category = other
    product.save()
    assert product.name not in page(client, before)
    assert product.name in page(client, after)


def test_search_finds_what_there_is_now(client: Client) -> None:
    lamp = ProductFactory(name="Oak lamp")
    for _ in range(3):
        assert "Oak lamp" in page(client, "/search/?q=LAMP")
    ProductFactory(name="Slate lamp")
    assert "Slate lamp" in page(client, "/search/?q=LAMP")
    lamp.name = "Oak chair"
    lamp.save()
    assert "Oak" not in page(client, "/search/?q=LAMP")


def test_a_sale_is_seen_on_the_next_page(client: Client) -> None:
    url = ProductFactory(sold=41).get_absolute_url()
    assert "41 sold" in page(client, url)
    assert client.post(f"{url}buy/", follow=True).redirect_chain == [(url, 302)]
    assert "42 sold" in page(client, url)


def test_a_cart_is_kept_in_the_session_and_bought(client: Client) -> None:
    mug, pan = ProductFactory(price=Decimal("4.50")), ProductFactory(price=Decimal("20.00"))
    for product in (mug, mug, pan):
        assert client.post(f"{product.get_absolute_url()}cart/").status_code == 302
    shown = page(client, "/cart/")
    assert mug.name in shown
    assert "29.00" in shown
    assert "Cart (2)" in shown
    assert mug.name not in page(Client(), "/cart/")
    mug.price = Decimal("5.00")
    mug.save()
    assert "30.00" in page(client, "/cart/")
    assert client.post("/cart/buy/", follow=True).redirect_chain == [("/", 302)]
    assert [best_sellers.score(each.pk) for each in (mug, pan)] == [2, 1]
    best_sellers.flush()
    assert [Product.objects.get(pk=each.pk).sold for each in (mug, pan)] == [2, 1]
    assert "nothing in it" in page(client, "/cart/")


def test_a_cart_costs_no_sql(client: Client, django_assert_num_queries: Any) -> None:
    product = ProductFactory()
    page(client, product.get_absolute_url())
    client.post(f"{product.get_absolute_url()}cart/", follow=True)
    with django_assert_num_queries(0):
        assert product.name in page(client, "/cart/")


@pytest.mark.parametrize("action", ["buy/", "cart/"])
def test_buying_takes_a_post(client: Client, action: str) -> None:
    assert client.get(f"{ProductFactory().get_absolute_url()}{action}").status_code == 405


def test_a_shop_can_be_made_in_bulk() -> None:
    create_shop(products=50, categories=5)
    assert Product.objects.values("category").distinct().count() == 5
    assert (Product.objects.count(), Review.objects.count()) == (50, 5)


def test_migrations_are_up_to_date() -> None:
    call_command("makemigrations", "shop", check=True, dry_run=True)


def test_a_look_at_a_product_is_counted_and_seen_at_once(client: Client) -> None:
    product = ProductFactory()
    url = product.get_absolute_url()
    assert "seen 1 time<" in page(client, url)
    assert "seen 2 times" in page(client, url)
    assert Product.view_counter.flush().rows == 1
    assert "seen 3 times" in page(client, url)
    product.refresh_from_db()
    assert product.views == 2


def test_best_sellers_are_shown_at_once(client: Client, django_assert_num_queries: Any) -> None:
    slow, fast = ProductFactory(sold=1), ProductFactory()
    for _ in range(2):
        client.post(f"{fast.get_absolute_url()}buy/")
    shown = page(client, "/")
    assert shown.index(fast.name) < shown.index(slow.name)
    assert "2 sold" in shown
    with django_assert_num_queries(0):
        page(client, "/")


def test_the_site_has_an_icon_where_browsers_ask_for_it(client: Client) -> None:
    """Without one, the console of every visitor of the dashboard says that something is missing."""
    response = client.get("/favicon.ico")
    assert response.status_code == 302
    assert response.headers["Location"] == static("shop/icon.svg")
    assert finders.find("shop/icon.svg")
    assert f'<link rel="icon" href="{static("shop/icon.svg")}">' in page(client, "/")

"""The shop's pages. Rows are cached by their models; here it is said which lists are, too."""

from __future__ import annotations

from django.contrib import messages
from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST

from . import cart
from .models import Category, Product, best_sellers
from .search import search

ON_A_PAGE = 24
BEST = 10


def catalog(request: HttpRequest) -> HttpResponse:
    in_stock = Count("products", filter=Q(products__active=True))
    # Not run before the template asks, and that does so in a fragment only.
    categories = Category.objects.annotate(count=in_stock).order_by("name")
    context = {"categories": categories, "best_sellers": _best_sellers()}
    return render(request, "shop/catalog.html", context)


def _best_sellers() -> list[tuple[int, Product]]:
    """How many were sold of the products that sell best, as of now: two round trips, no SQL."""
    standings = [each for each in best_sellers.top(BEST) if each.score]
    products = Product.objects.in_bulk([each.member for each in standings])
    return [(each.score, products[each.member]) for each in standings if each.member in products]


def category(request: HttpRequest, slug: str) -> HttpResponse:
    shown = get_object_or_404(Category, slug=slug)
    # `indexes` of the model: sales in other categories leave both cached.
    products = Product.objects.filter(category=shown, active=True).cache(ttl=600)
    context = {
        "category": shown,
        "count": products.count(),
        "products": products.order_by("-sold", "pk")[:ON_A_PAGE],
    }
    return render(request, "shop/category.html", context)


def product(request: HttpRequest, slug: str) -> HttpResponse:
    shown = get_object_or_404(Product, slug=slug)
    shown.view_counter.increment()
    context = {
        "product": shown,
        "sold": best_sellers.score(shown.pk),
        "reviews": shown.reviews.all().cache(),
    }
    return render(request, "shop/product.html", context)


def found(request: HttpRequest) -> HttpResponse:
    query = request.GET.get("q", "").strip()[:80]
    keys = search(query.lower()) if query else []
    rows = Product.objects.in_bulk(keys)  # The rows of the keys, in one round trip.
    products = [rows[pk] for pk in keys if pk in rows]
    return render(request, "shop/search.html", {"query": query, "products": products})


@require_POST
def buy(request: HttpRequest, slug: str) -> HttpResponse:
    bought = get_object_or_404(Product, slug=slug)
    best_sellers.increment(bought.pk)
    messages.success(request, f"{bought.name} is yours.")
    return redirect(bought)


def show_cart(request: HttpRequest) -> HttpResponse:
    lines = cart.lines(request.session)
    total = sum(line.price for line in lines)
    return render(request, "shop/cart.html", {"lines": lines, "total": total})


@require_POST
def add_to_cart(request: HttpRequest, slug: str) -> HttpResponse:
    chosen = get_object_or_404(Product, slug=slug)
    cart.add(request.session, chosen)
    messages.success(request, f"{chosen.name} is in your cart.")
    return redirect(chosen)


@require_POST
def buy_cart(request: HttpRequest) -> HttpResponse:
    best_sellers.increment_many(
        {line.product.pk: line.number for line in cart.lines(request.session)}
    )
    cart.empty(request.session)
    messages.success(request, "It is all yours.")
    return redirect("shop:catalog")

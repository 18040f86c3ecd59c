"""The shop's pages. Rows are cached by their models; here it is said which lists are, too."""

from __future__ import annotations

from django.contrib import messages
from django.db import transaction
from django.db.models import Count, F, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST

from . import cart
from .models import Category, Product
from .search import search

ON_A_PAGE = 24


def catalog(request: HttpRequest) -> HttpResponse:
    in_stock = Count("products", filter=Q(products__active=True))
    # Not run before the template asks, and that does so in a fragment only.
    categories = Category.objects.annotate(count=in_stock).order_by("name")
    return render(request, "shop/catalog.html", {"categories": categories})


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
    return render(
        request, "shop/product.html", {"product": shown, "reviews": shown.reviews.all().cache()}
    )


def found(request: HttpRequest) -> HttpResponse:
    query = request.GET.get("q", "").strip()[:80]
    keys = search(query.lower()) if query else []
    rows = Product.objects.in_bulk(keys)  # The rows of the keys, in one round trip.
    products = [rows[pk] for pk in keys if pk in rows]
    return render(request, "shop/search.html", {"query": query, "products": products})


@require_POST
def buy(request: HttpRequest, slug: str) -> HttpResponse:
    bought = get_object_or_404(Product, slug=slug)
    # Counted by the database: what was read above may be a moment old by now.
    Product.objects.filter(pk=bought.pk).update(sold=F("sold") + 1)
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
    with transaction.atomic():
        for line in cart.lines(request.session):
            Product.objects.filter(pk=line.product.pk).update(sold=F("sold") + line.number)
    cart.empty(request.session)
    messages.success(request, "It is all yours.")
    return redirect("shop:catalog")

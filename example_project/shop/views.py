"""The shop's pages. None of them mentions the cache: that is what the models are for."""

from __future__ import annotations

from django.contrib import messages
from django.db.models import F
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST

from .models import Category, Product

ON_A_PAGE = 24


def catalog(request: HttpRequest) -> HttpResponse:
    return render(request, "shop/catalog.html", {"categories": Category.objects.all()})


def category(request: HttpRequest, slug: str) -> HttpResponse:
    shown = get_object_or_404(Category, slug=slug)
    products = Product.objects.filter(category=shown, active=True).order_by("-sold", "pk")
    context = {"category": shown, "products": products[:ON_A_PAGE]}
    return render(request, "shop/category.html", context)


def product(request: HttpRequest, slug: str) -> HttpResponse:
    shown = get_object_or_404(Product, slug=slug)
    return render(request, "shop/product.html", {"product": shown, "reviews": shown.reviews.all()})


@require_POST
def buy(request: HttpRequest, slug: str) -> HttpResponse:
    bought = get_object_or_404(Product, slug=slug)
    # Counted by the database: what was read above may be a moment old by now.
    Product.objects.filter(pk=bought.pk).update(sold=F("sold") + 1)
    messages.success(request, f"{bought.name} is yours.")
    return redirect(bought)

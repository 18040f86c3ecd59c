from django.urls import path

from . import views

app_name = "shop"
urlpatterns = [
    path("", views.catalog, name="catalog"),
    path("search/", views.found, name="search"),
    path("category/<slug:slug>/", views.category, name="category"),
    path("product/<slug:slug>/", views.product, name="product"),
    path("product/<slug:slug>/buy/", views.buy, name="buy"),
    path("product/<slug:slug>/cart/", views.add_to_cart, name="add_to_cart"),
    path("cart/", views.show_cart, name="cart"),
    path("cart/buy/", views.buy_cart, name="buy_cart"),
]

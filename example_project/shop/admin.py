from django.contrib import admin

from .models import Category, Product, Review


@admin.register(Category)
class CategoryAdmin(admin.ModelAdmin):
    list_display = ("name", "slug")
    prepopulated_fields = {"slug": ("name",)}  # noqa: RUF012 (Django's own shape)
    search_fields = ("name",)


@admin.register(Product)
class ProductAdmin(admin.ModelAdmin):
    list_display = ("name", "category", "sku", "price", "sold", "active")
    list_filter = ("active", "category")
    readonly_fields = ("uuid", "created")
    search_fields = ("name", "sku", "slug")


@admin.register(Review)
class ReviewAdmin(admin.ModelAdmin):
    autocomplete_fields = ("product",)
    list_display = ("product", "author", "rating", "created")
    list_filter = ("rating",)

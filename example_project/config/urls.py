from django.contrib import admin
from django.templatetags.static import static
from django.urls import include, path
from django.views.generic import RedirectView

urlpatterns = [
    path("admin/", admin.site.urls),
    # The admin's pages name no icon, so browsers ask here.
    path("favicon.ico", RedirectView.as_view(url=static("shop/icon.svg"))),
    path("", include("example_project.shop.urls")),
]

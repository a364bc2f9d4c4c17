"""The pages. Imported by the first request for one."""

from django.urls import include, path, re_path
from django.views.generic import RedirectView

from ..oauth.urls import later
from . import address, care, developers, gallery, home, login, static

handler400, handler403, handler404, handler500 = home.bad, home.refused, home.unknown, home.failed

urlpatterns = [
    path("", home.home, name="home"),
    path("preferences", home.preferences, name="preferences"),
    re_path(r"^static/(?P<stem>[\w./-]+)\.(?P<hash>[0-9a-f]{12})\.(?P<suffix>\w+)\Z", static.serve),
    path("oauth/authorize", later("authorize", "authorize"), name="oauth_authorize"),
    path("oauth/decide", later("authorize", "decide", exempt=False), name="oauth_decide"),
    path("account/applications/", later("connected", "applications", exempt=False), name="oauth_applications"),
    path("account/applications/<int:pk>", later("connected", "disconnect", exempt=False), name="oauth_disconnect"),
    path("account/external/", later("external", "begin"), name="external_begin"),
    path("account/external/callback", later("external", "end"), name="external_end"),
    path("account/address/", address.address),
    path("account/", include(login.urlpatterns)),
    path("care/<rid:id>/apps/", gallery.gallery),
    path("care/<rid:id>/apps/<int:number>", gallery.open_app),
    path("care/", include(care.urlpatterns)),
    path("me/", include("fhirserver.web.me.urls")),
    path("admin/", include("fhirserver.web.admin.urls")),
    path("developers/", include(developers.urlpatterns)),
    re_path(r"^(?P<space>account|care|me|admin|developers)\Z", RedirectView.as_view(url="/%(space)s/")),
]

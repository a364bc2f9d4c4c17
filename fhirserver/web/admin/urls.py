"""The addresses of the administration, in the order of its tabs."""

from django.urls import path

from . import audit, clients, dashboard, jobs, matrix, people, resources, reviews, settings, why

urlpatterns = [
    path("", dashboard.dashboard, name="admin"),
    path("resources/", resources.resources),
    path("resources/<rtype:type>/<rid:rid>/", resources.resource),
    path("audit/", audit.audit),
    path("audit/verify", audit.verify),
    path("why/", why.who_sees),
    path("reviews/", reviews.emergencies),
    path("doubts/", reviews.doubts),
    path("people/", people.people),
    path("people/<int:id>/", people.login),
    path("matrix/", matrix.habilitation),
    path("clients/", clients.clients),
    path("jobs/", jobs.jobs),
    path("settings/", settings.settings),
]

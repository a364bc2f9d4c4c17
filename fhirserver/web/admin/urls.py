"""The addresses of the administration, in the order of its tabs."""

from django.urls import path

from . import audit, clients, dashboard, identities, jobs, matrix, people, resources, reviews, rights, settings, why

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
    path("people/new/", identities.new),
    path("people/<int:id>/", people.login),
    path("people/<int:id>/person", identities.describe),
    path("people/<int:id>/membership", identities.membership),
    path("rights/", rights.rights),
    path("rights/<rid:id>/grant", rights.grant),
    path("rights/<rid:id>/grant/end", rights.end_grant),
    path("rights/<rid:id>/<slug:kind>/name", rights.name),
    path("rights/<rid:id>/<slug:kind>/end", rights.end),
    path("matrix/", matrix.habilitation),
    path("clients/", clients.clients),
    path("clients/new/", clients.new),
    path("clients/<int:id>/", clients.client),
    path("clients/<int:id>/edit/", clients.edit),
    path("clients/<int:id>/switch", clients.switch),
    path("clients/<int:id>/revoke", clients.revoke),
    path("clients/<int:id>/launch", clients.launch),
    path("jobs/", jobs.jobs),
    path("settings/", settings.settings),
]

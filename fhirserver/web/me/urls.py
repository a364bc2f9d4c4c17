"""The addresses of the patient's space."""

from django.urls import path

from . import access, download, history, reading, space

urlpatterns = [
    path("", space.first, name="me"),
    path("<rid:id>/", reading.summary),
    path("<rid:id>/timeline/", reading.timeline),
    path("<rid:id>/results/", reading.results),
    path("<rid:id>/access/", access.access),
    path("<rid:id>/access/grant", access.grant),
    path("<rid:id>/access/withdraw/<rid:rid>", access.withdraw),
    path("<rid:id>/decide/<slug:name>", access.decide),
    path("<rid:id>/history/", history.history),
    path("<rid:id>/history/<int:event>/", history.report),
    path("<rid:id>/notices/", history.notices),
    path("<rid:id>/record.json", download.download),
    path("<rid:id>/record.pdf", download.document),
    path("<rid:id>/<rtype:type>/<rid:rid>/", reading.item),
    path("<rid:id>/<rtype:type>/<rid:rid>/mask", reading.mask),
    path("<rid:id>/<rtype:type>/<rid:rid>/file/<int:number>", reading.file),
]

"""Pages for people: patients (/me), clinicians (/care), administrators (/admin), integrators (/developers).

Reading order: dispatch (which requests come here, and what they pay), urls, headers, static, login, visitor (the
session as a caller of the same interactions as /fhir), then care, me, admin and developers: the spaces.
"""

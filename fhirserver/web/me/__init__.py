"""The patient's space: the record in plain words, who may read it and why, who did, and what the patient decides.

A proxy has the same pages for the record of whom it represents; each page asks under the login's own name. What is
decided counts from the next request on: pages write Consents, labels and decisions by the interactions of /fhir.

Reading order: space (what pages share), reading, access, history, download, urls.
"""

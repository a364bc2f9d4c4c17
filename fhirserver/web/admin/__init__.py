"""The administration: four roles, each with its pages; none of them shows what a record says.

operations       jobs, clients, settings                identity   people, roles, second factors
data-protection  audit, why, rights, reviews, doubts    support    second factors and passwords, until a day

What is asked of records goes through the access of the member of staff, who sees the directory and no patient. What is
changed here, and what is looked up about somebody, leaves an audit record. Stock Django admin would do neither.

A file for each page; staff has what they share, urls their addresses.
"""

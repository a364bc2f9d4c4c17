"""What the authorisation server keeps and decides: clients, authorisations, tokens. It does not know HTTP.

`tables`        the rows
`registration`  what a client must be to be registered
`families`      issuing, rotating and revoking the tokens of one authorisation
`context`       which record a person may take along into an application
"""

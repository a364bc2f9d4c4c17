"""The authorisation server: OAuth 2.1 as SMART App Launch 2.2 has it. Loaded when the first request asks for it.

`urls`        what it answers to                `addresses`  where that is, for a given request
`discovery`   what it can do, and its keys      `answers`    JSON, CORS and errors, alike for all
`tokens`      token, introspection, revocation  `validator`  our rules, for oauthlib's grants
`assertions`  private_key_jwt                   `jwks`       keys of clients, fetched safely
`signing`     our own keys, and id_tokens
`authorize`   the page where a person says yes  `people`     the records to choose from
`launch`      an EHR opens an application       `words`      scopes as people understand them
`connected`   what a person has connected         `external`   sign-in by an identity provider

oauthlib is the engine of django-oauth-toolkit; its models are not used, as a request is judged by one table of tokens.
"""

"""The recipe of evidence: where a model comes from, what was judged, what it was made with, and who says so.

`create` writes a directory of in-toto statements; `verify` holds one against a model. Others import `verify`
as `..evidence.verify`, for which they need `cryptography` in their environment and nothing else.
"""

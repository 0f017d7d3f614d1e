"""
The operator's side of a controller: a REST interface, a page, and the client of both.
"""

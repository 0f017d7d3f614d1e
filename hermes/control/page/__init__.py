"""
The controller's page: HTML that the server makes, which a text-only reader shows too; a script only keeps it current.
"""

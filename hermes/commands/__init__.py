"""
The subcommands of C{hermes}. Each module here is one; its name is the command's.

A command has C{SUMMARY}, one line for C{hermes --help}; C{arguments(parser)}, which declares what it takes; and
C{run(options, console)}, which does it and returns the exit status. Every run of C{hermes} imports them all: what is
slow to import and only one of them needs is imported in its C{run}.
"""

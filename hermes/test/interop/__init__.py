"""
Whole nodes as processes of their own, with each other and with peers that are not ours. Nothing is waited for but
events: a line of a process's output, bytes, the end of a process.
"""

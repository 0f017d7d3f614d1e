"""
HTTP and NDN meet: objects of NDN, asked for by HTTP.
"""

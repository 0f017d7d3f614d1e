"""
Who watches: metrics, the access log, the status API. The data plane knows nothing of it.
"""

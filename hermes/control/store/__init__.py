"""
Stores: L{SQLiteStore}, one file, for one controller; L{EtcdStore}, for several.
"""

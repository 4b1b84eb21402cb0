"""What people read: the console, figures and names in words, near misses of spelling.

Pure text and a clock; knows errors and nothing else of Tench.
"""

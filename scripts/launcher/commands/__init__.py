"""One module a command, named as it is called: what it asks for, what it prints, how it ends.

May use every other room of the launcher; `cli` alone imports it.
"""

"""Submitting: what a submit would do, the question before it, and taking a run away again.

May use preflight and watch; nothing here is started without the command.
"""

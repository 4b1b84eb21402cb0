"""Formats of images: which one bytes are in, which way up, how deep, and what to say of those that are not read.

Used by `job.stages.images`, which decodes. Nothing here knows where bytes came from or what a model wants.
"""

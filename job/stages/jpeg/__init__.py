"""JPEGs by parts: the rows and columns that a recipe keeps, decoded and resized a strip at a time.

Built with a C compiler where `pip` finds one and libjpeg's header; without them images are decoded whole.
"""

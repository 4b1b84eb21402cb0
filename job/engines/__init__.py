"""Where the stages run: threads of this process, or Ray Data on a cluster. `engine` is the way in.

Takes chunks and yields tables of rows; knows nothing of commits. Ray is imported here and nowhere else.
"""

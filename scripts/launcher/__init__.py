"""The launcher: the `tench` command. `cli` reads a call and hands it to a module of `commands`.

Works without torch, transformers and Ray; only `tench run` needs the extra `job`.
"""

"""What keeps a child process to its task: another user, Landlock, seccomp, limits; each as far as the kernel has it.

``profiles`` says who may do what, ``enter`` puts the calling process in, ``record`` is what came of it. A model is data
that a large C++ library interprets, so a worker is taken for hostile from the moment it sees one.
"""

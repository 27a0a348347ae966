"""pycuda 2024: ``pycuda.driver``, with memory that is this process's own."""

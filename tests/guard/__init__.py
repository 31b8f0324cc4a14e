"""The network guard of the suite: `hook/` sees what Python code tries, `kernel_watch` what any code tries."""

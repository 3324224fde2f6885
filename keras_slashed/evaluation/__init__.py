"""Functions of a whole data set, which are compiled, run in batches and accumulated."""

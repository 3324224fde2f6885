"""Functions of a whole data set: compiled, batch by batch, and summed up."""

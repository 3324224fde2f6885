"""Copy the whole state of a model to another, weights and other variables."""


def assign(variables, values):
    """Assign each value to the variable at the same position.

    For two models of the same architecture, `assign(model.variables, other.variables)` also
    copies what `set_weights` leaves out: hyperparameters like a rate or a `kl_weight`, and the
    state of the noise.
    """
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)

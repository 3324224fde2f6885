"""The whole state of a model, weights and what else it has, given to another."""


def assign(variables, values):
    """Assign values to variables, one to one.

    Of two models of one shape, `assign(model.variables, other.variables)` copies more than
    `set_weights` does: the hyperparameters, a rate or a `kl_weight`, and the state of the noise.
    """
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)

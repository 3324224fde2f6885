"""One of several outputs of a model, by name or index."""


def select_output(name, outputs, output, model=None):
    """Return one of several outputs, or the only one.

    Args:
        name: String. Name of the model as an argument.
        outputs: Tensor, list, tuple or dict of tensors.
        output: String, integer or None. A key, the name of an output layer, or an index. None
            selects the only output, and leaves several outputs as they are.
        model: Keras model or None. It gives the outputs of a list their names.

    Raises:
        ValueError: If there is no such output.
    """
    if not isinstance(outputs, (list, tuple, dict)):
        if output is not None:
            raise ValueError(
                f"Argument `output` requires a `{name}` with several outputs. "
                f"Received: output={output!r}, and a `{name}` with one output"
            )
        return outputs
    if output is None:
        return outputs
    if isinstance(outputs, dict):
        choices = list(outputs)
    else:
        names = list(getattr(model, "output_names", ()))
        choices = [*(names if len(names) == len(outputs) else ()), *range(len(outputs))]
    if output not in choices or isinstance(output, bool):
        raise ValueError(
            f"Argument `output` must be one of {', '.join(map(repr, choices))}. "
            f"Received: output={output!r}"
        )
    if isinstance(outputs, dict):
        return outputs[output]
    return outputs[output if isinstance(output, int) else choices.index(output)]

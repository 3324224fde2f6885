"""The curves of `applications.token_attributions` as a picture."""

import numpy as np

from applications import extras

plt = extras.pyplot()

_HOW = {
    "deletion": "replaced by the mean embedding",
    "masking": "masked",
    "insertion": "inserted into mean embeddings",
}


def draw_curves(curves, shares, path):
    """Plot the mean probability of the class against the share of tokens.

    Args:
        curves: Dict `{kind: {map: array}}` with arrays of shape `(N, len(shares))`.
        shares: Array. Shares of the tokens of a sentence.
    """
    figure, panels = plt.subplots(1, len(curves), figsize=(14, 4.4), sharey=True,
                                  layout="constrained")  # fmt: skip
    for panel, (kind, by_name) in zip(panels, curves.items()):
        for index, (name, values) in enumerate(by_name.items()):
            style = ":" if name == "random" else "--" if name.startswith("attention") else "-"
            width = 2.5 if index == 0 else 1.2
            panel.plot(shares, np.mean(values, axis=0), style, color=f"C{index}", lw=width,
                       label=name)  # fmt: skip
        panel.set(title=kind, xlabel=f"share of tokens, {_HOW[kind]}", xlim=(0, 1), ylim=(0, 1))
        panel.grid(alpha=0.3)
    panels[0].set_ylabel("probability of the class")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside right", fontsize="small")
    extras.save(figure, path)

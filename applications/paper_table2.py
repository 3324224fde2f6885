"""The numbers of the paper's Table 2, to stand beside the measured ones."""

# By the names of `lstm_vae_variants`: NLL, KL, active units and mutual information, in
# nats. The plain language model has the first alone. The paper does not name its text; the
# NLL is of the size that others report for the Yahoo Answers of 100,000 documents.
TABLE2 = {
    "lstm": (336.47, None, None, None),
    "vae": (337.21, 0.00, 0, 0.00),
    "warmup": (336.72, 1.09, 1, 1.08),
    "cyclic": (335.56, 4.70, 6, 4.54),
    "batch_mean": (336.89, 8.04, 7, 6.42),
    "batch": (336.86, 6.09, 5, 5.90),
    "instance_mean": (335.80, 8.02, 11, 6.80),
    "instance": (337.15, 6.27, 4, 6.11),
    "feature_mean": (338.49, 6.12, 32, 3.70),
    "feature": (336.95, 5.98, 32, 4.11),
    "batchnorm": (337.22, 5.88, 32, 3.85),
    "skip": (331.90, 7.42, 10, 6.63),
    "decoupled_2": (337.05, 1.04, 1, 1.03),
    "decoupled_8": (337.04, 3.02, 3, 2.95),
    "decoupled_20": (336.02, 3.42, 4, 3.33),
    "decoupled_40": (335.59, 4.82, 6, 4.65),
    "decoupled_80": (335.50, 5.47, 6, 5.26),
}

"""The LSTM VAE of Table 2 in plain PyTorch: its training loop without Keras.

`benchmarks.text_throughput` uses it. It is the model of `applications.models.lstm_vae` as a user
of PyTorch would write it: with `nn.LSTM`, a mean and a log standard deviation for each document,
and Adam with PyTorch's defaults.
"""

import math

import torch
from torch import nn
from torch.nn import functional


class LSTMVAE(nn.Module):
    """A VAE of documents.

    Args:
        vocabulary_size: Integer. Number of tokens. Token 0 is padding.
        latent_dim: Integer. Number of latent dimensions.
        num_layers: Integer. Number of LSTM layers in the encoder and in the decoder.
        units: Integer. Width of the LSTM layers.
        embedding_dim: Integer. Width of the tokens' embeddings.
        dropout: Float. Rate of the dropout between the decoder's layers.
    """

    def __init__(self, vocabulary_size, latent_dim, num_layers, units, embedding_dim, dropout):
        super().__init__()
        self.states_shape = (num_layers, units)
        self.encoder_words = nn.Embedding(vocabulary_size, embedding_dim)
        self.encoder = nn.LSTM(embedding_dim, units, num_layers, batch_first=True)
        self.posterior = nn.Linear(units, 2 * latent_dim)
        self.decoder_words = nn.Embedding(vocabulary_size, embedding_dim)
        self.z_to_cells = nn.Linear(latent_dim, num_layers * units)
        self.decoder = nn.LSTM(
            embedding_dim + latent_dim,
            units,
            num_layers,
            batch_first=True,
            dropout=dropout if num_layers > 1 else 0.0,  # else PyTorch warns
        )
        self.next_token = nn.Linear(units, vocabulary_size)
        for words in (self.encoder_words, self.decoder_words):
            nn.init.uniform_(words.weight, -0.1, 0.1)

    def encode(self, rows):
        """Return the encoder's outputs for rows of tokens, of shape `(batch, 2 * latent_dim)`."""
        tokens = rows[:, 1:]
        outputs, _ = self.encoder(self.encoder_words(tokens))
        last = (tokens != 0).sum(1) - 1
        return self.posterior(outputs[torch.arange(len(rows), device=rows.device), last])

    def reconstruction(self, rows, z):
        """Return the mean of -log p(rows | z) over the documents, in nats."""
        cells = self.z_to_cells(z).view(len(z), *self.states_shape).transpose(0, 1).contiguous()
        words = self.decoder_words(rows[:, :-1])
        everywhere = z.unsqueeze(1).expand(-1, words.shape[1], -1)
        hidden, _ = self.decoder(torch.cat([words, everywhere], -1), (torch.tanh(cells), cells))
        logits = self.next_token(hidden).flatten(0, 1)
        targets = rows[:, 1:].flatten()
        costs = functional.cross_entropy(logits, targets, ignore_index=0, reduction="sum")
        return costs / len(rows)

    def loss(self, rows, mean, log_stddev, noise):
        """Return the negative evidence lower bound, averaged over the documents.

        Args:
            rows: Integer tensor of shape `(batch, 1 + length)`. Begin token, tokens, end token
                and padding.
            mean: Tensor of shape `(batch, latent_dim)`. The posterior means.
            log_stddev: Tensor of the same shape. Logarithms of the standard deviations.
            noise: Tensor of the same shape. Standard normal numbers.
        """
        z = mean + torch.exp(log_stddev) * noise
        kl = (mean**2 + torch.exp(2.0 * log_stddev) - 1.0) / 2.0 - log_stddev
        return self.reconstruction(rows, z) + kl.sum(-1).mean()

    def forward(self, rows):
        """Return the loss of rows with one draw of z for each."""
        mean, log_stddev = self.encode(rows).chunk(2, -1)
        return self.loss(rows, mean, log_stddev, torch.randn_like(mean))


class HandWrittenTraining:
    """Train batch after batch.

    Args:
        learning_rate: Float. Learning rate of Adam.
        seed: Integer. Seed of the weights and the noise.
        **options: Keyword arguments of `LSTMVAE`.
    """

    def __init__(self, learning_rate, seed=0, **options):
        torch.manual_seed(seed)
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        self._model = LSTMVAE(**options).to(self._device)
        self._optimizer = torch.optim.Adam(self._model.parameters(), learning_rate)

    def train(self, batches):
        """Train on a list of NumPy arrays of rows, and return the mean loss."""
        self._model.train()
        total = torch.zeros((), device=self._device)
        for rows in batches:
            rows = torch.from_numpy(rows).to(self._device, torch.int64)
            self._optimizer.zero_grad()
            loss = self._model(rows)
            loss.backward()
            self._optimizer.step()
            total += loss.detach()
        mean = float(total) / len(batches)  # waits for a GPU
        if not math.isfinite(mean):
            raise ValueError(f"The training in PyTorch diverged: its loss is {mean}")
        return mean

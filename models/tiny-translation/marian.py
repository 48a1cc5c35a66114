"""The architecture of Marian, as its models are published: embeddings shared by both sides and the
output, positions as sine and cosine, norms after the residual, swish."""

import numpy as np

import autograd as ag

WIDTH = 64
HEADS = 4
WIDE = 128
LAYERS = 2
NORM_EPSILON = 1e-5
POSITIONS_MAX = 128
# Added to the score of what must not be looked at: the softmax of it is 0.
HIDDEN_SCORE = np.float32(-10000)


def positions():
    """One row for each place: the sines, then the cosines."""
    rates = 10000.0 ** (-2 * np.arange(WIDTH // 2) / WIDTH)
    angles = np.arange(POSITIONS_MAX)[:, np.newaxis] * rates
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1).astype(np.float32)


def new_weights(vocabulary, random):
    """Weights before training, under the names that Marian's models use."""
    weights = {"model.shared.weight": random.normal(0, WIDTH**-0.5, (vocabulary, WIDTH))}

    def linear(name, inputs, outputs):
        weights[f"{name}.weight"] = random.normal(0, (2 / (inputs + outputs)) ** 0.5, (outputs, inputs))
        weights[f"{name}.bias"] = np.zeros(outputs)

    def norm(name):
        weights[f"{name}.weight"] = np.ones(WIDTH)
        weights[f"{name}.bias"] = np.zeros(WIDTH)

    for side, number in [(side, number) for side in ("encoder", "decoder") for number in range(LAYERS)]:
        layer = f"model.{side}.layers.{number}"
        for attention in ["self_attn"] if side == "encoder" else ["self_attn", "encoder_attn"]:
            for part in ("q_proj", "k_proj", "v_proj", "out_proj"):
                linear(f"{layer}.{attention}.{part}", WIDTH, WIDTH)
            norm(f"{layer}.{attention}_layer_norm")
        linear(f"{layer}.fc1", WIDTH, WIDE)
        linear(f"{layer}.fc2", WIDE, WIDTH)
        norm(f"{layer}.final_layer_norm")
    weights["final_logits_bias"] = np.zeros(vocabulary)
    return {name: ag.Value(value.astype(np.float32)) for name, value in weights.items()}


class Marian:
    """The forward pass over whole sentences, for training and for checking the exported graphs."""

    def __init__(self, weights):
        self.weights = weights
        self.positions = positions()

    def encode(self, ids, mask):
        """The encoder's states for `ids`; `mask` is 1 for a token, 0 for padding."""
        states = self.embed(ids)
        hidden = hide(mask[:, np.newaxis, np.newaxis] == 0)
        for number in range(LAYERS):
            layer = f"model.encoder.layers.{number}"
            states = self.attend(f"{layer}.self_attn", states, states, hidden)
            states = self.feed(layer, states)
        return states

    def decode(self, ids, encoded, mask):
        """The logits of the token after each of `ids`."""
        states = self.embed(ids)
        length = ids.shape[1]
        later = hide(np.triu(np.ones((length, length), bool), 1)[np.newaxis, np.newaxis])
        hidden = hide(mask[:, np.newaxis, np.newaxis] == 0)
        for number in range(LAYERS):
            layer = f"model.decoder.layers.{number}"
            states = self.attend(f"{layer}.self_attn", states, states, later)
            states = self.attend(f"{layer}.encoder_attn", states, encoded, hidden)
            states = self.feed(layer, states)
        shared = ag.transpose(self.weights["model.shared.weight"], (1, 0))
        return ag.add(ag.matmul(states, shared), self.weights["final_logits_bias"])

    def embed(self, ids):
        vectors = ag.scale(ag.gather(self.weights["model.shared.weight"], ids), WIDTH**0.5)
        return ag.shift(vectors, self.positions[: ids.shape[1]])

    def attend(self, name, states, others, hidden):
        query = self.heads(ag.scale(self.linear(f"{name}.q_proj", states), (WIDTH // HEADS) ** -0.5))
        key = self.heads(self.linear(f"{name}.k_proj", others))
        value = self.heads(self.linear(f"{name}.v_proj", others))
        scores = ag.matmul(query, ag.transpose(key, (0, 1, 3, 2)))
        mixed = ag.transpose(ag.matmul(ag.softmax(ag.shift(scores, hidden)), value), (0, 2, 1, 3))
        mixed = self.linear(f"{name}.out_proj", ag.reshape(mixed, states.data.shape))
        return self.norm(f"{name}_layer_norm", ag.add(states, mixed))

    def heads(self, states):
        batch, length, _ = states.data.shape
        return ag.transpose(ag.reshape(states, (batch, length, HEADS, WIDTH // HEADS)), (0, 2, 1, 3))

    def feed(self, layer, states):
        wide = ag.swish(self.linear(f"{layer}.fc1", states))
        return self.norm(f"{layer}.final_layer_norm", ag.add(states, self.linear(f"{layer}.fc2", wide)))

    def linear(self, name, states):
        turned = ag.transpose(self.weights[f"{name}.weight"], (1, 0))
        return ag.add(ag.matmul(states, turned), self.weights[f"{name}.bias"])

    def norm(self, name, states):
        return ag.norm(states, self.weights[f"{name}.weight"], self.weights[f"{name}.bias"], NORM_EPSILON)


def hide(where):
    return np.where(where, HIDDEN_SCORE, np.float32(0))

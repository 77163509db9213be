#!/usr/bin/env python3
"""The step of training_bench in PyTorch: same weights, text, loss and update.

    training.py FOLDER [--precision float32|bfloat16] [--threads N] [--steps 10] [--busy]

FOLDER is what `training_bench --export FOLDER` writes. Prints one line of JSON. bfloat16: masters
are float32 and products run under autocast.
"""

import argparse
import contextlib
import json
import math
import pathlib
import resource
import statistics
import sys
import time

import torch
from torch.nn import functional


def read_tensors(path):
    """The float32 tensors of a safetensors file, as parameters."""
    data = bytearray(path.read_bytes())
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        values = torch.frombuffer(
            data, dtype=torch.float32, count=(end - begin) // 4, offset=8 + size + begin
        )
        tensors[name] = torch.nn.Parameter(values.reshape(entry["shape"]).clone())
    return tensors


def rms_norm(x, weight, eps):
    return x.float() * torch.rsqrt(x.float().square().mean(-1, keepdim=True) + eps) * weight


def rotate(x, cosines, sines):
    first, second = x.float().chunk(2, dim=-1)
    return torch.cat((first * cosines - second * sines, second * cosines + first * sines), dim=-1)


def seen(tokens, block):
    """What each of 2 S rows sees: clean tokens causally; a mask its block and clean tokens before."""
    place = torch.arange(tokens)
    first = place // block * block
    clean = torch.cat((place[None, :] <= place[:, None], torch.zeros(tokens, tokens, dtype=bool)), 1)
    masks = torch.cat((place[None, :] < first[:, None], first[None, :] == first[:, None]), 1)
    return torch.cat((clean, masks))


class Model:
    """A decoder of Qwen3's family with a tied head."""

    def __init__(self, config, weights, block, tokens):
        self.config, self.weights = config, weights
        self.hidden_mask = ~seen(tokens, block)
        size = config["head_dim"]
        frequencies = config["rope_theta"] ** (-torch.arange(0, size, 2, dtype=torch.float64) / size)
        angles = torch.arange(tokens, dtype=torch.float64).repeat(2)[:, None] * frequencies
        self.cosines, self.sines = angles.cos().float(), angles.sin().float()

    def attention(self, x, layer):
        config, size = self.config, self.config["head_dim"]

        def weight(name):
            return self.weights[f"model.layers.{layer}.self_attn.{name}.weight"]

        def heads(name, count):
            return functional.linear(x, weight(name)).view(-1, count, size).transpose(0, 1)

        eps, kv_heads = config["rms_norm_eps"], config["num_key_value_heads"]
        q = rms_norm(heads("q_proj", config["num_attention_heads"]), weight("q_norm"), eps)
        k = rms_norm(heads("k_proj", kv_heads), weight("k_norm"), eps)
        v = heads("v_proj", kv_heads)
        q, k = (rotate(each, self.cosines, self.sines) for each in (q, k))
        group = config["num_attention_heads"] // kv_heads
        k, v = (each.repeat_interleave(group, dim=0) for each in (k, v))
        scores = torch.matmul(q, k.transpose(1, 2)) / math.sqrt(size)
        scores = scores.float().masked_fill(self.hidden_mask, -math.inf)
        out = torch.matmul(scores.softmax(-1), v)
        return functional.linear(out.transpose(0, 1).flatten(1), weight("o_proj"))

    def ffn(self, x, layer):
        def linear(name, of):
            return functional.linear(of, self.weights[f"model.layers.{layer}.mlp.{name}.weight"])

        return linear("down_proj", functional.silu(linear("gate_proj", x)) * linear("up_proj", x))

    def logits(self, ids):
        eps, embedding = self.config["rms_norm_eps"], self.weights["model.embed_tokens.weight"]
        x = functional.embedding(ids, embedding)
        for layer in range(self.config["num_hidden_layers"]):
            norms = [
                self.weights[f"model.layers.{layer}.{name}.weight"]
                for name in ("input_layernorm", "post_attention_layernorm")
            ]
            x = x + self.attention(rms_norm(x, norms[0], eps), layer)
            x = x + self.ffn(rms_norm(x, norms[1], eps), layer)
        return functional.linear(rms_norm(x, self.weights["model.norm.weight"], eps), embedding)


def loss_of(model, text, mask_token):
    tokens = len(text) - 1
    ids = torch.cat((text[:-1], torch.full((tokens,), mask_token)))
    logits = model.logits(ids).float()
    ar = functional.cross_entropy(logits[:tokens], text[1:])
    diffusion = functional.cross_entropy(logits[tokens:], text[:-1])
    return (ar + diffusion) / 2


def make_optimizer(weights, rate):
    groups = [
        {"params": [each for each in weights.values() if each.dim() > 1], "weight_decay": 0.1},
        {"params": [each for each in weights.values() if each.dim() == 1], "weight_decay": 0},
    ]
    return torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.95), eps=1e-8, foreach=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--busy", action="store_true", help="count processor time")
    flags = parser.parse_args()
    torch.set_num_threads(flags.threads)
    config = json.loads((flags.folder / "config.json").read_text())
    step = json.loads((flags.folder / "step.json").read_text())
    weights = read_tensors(flags.folder / "model.safetensors")
    text = torch.tensor(step["text"])
    model = Model(config, weights, step["block"], len(text) - 1)
    optimizer = make_optimizer(weights, step["rate"])
    clock = time.process_time if flags.busy else time.perf_counter
    losses, seconds = [], []
    for _ in range(2 + flags.steps):
        start = clock()
        optimizer.zero_grad(set_to_none=True)
        narrow = torch.autocast("cpu", dtype=torch.bfloat16)
        with narrow if flags.precision == "bfloat16" else contextlib.nullcontext():
            loss = loss_of(model, text, config["tidar"]["mask_token_id"])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights.values(), 1.0)
        optimizer.step()
        seconds.append(clock() - start)
        losses.append(loss.item())
    seconds = seconds[2:]  # the first ones allocate
    json.dump(
        {
            "precision": flags.precision,
            "threads": flags.threads,
            "parameters": sum(each.numel() for each in weights.values()),
            "loss": losses[0],
            "last_loss": losses[-1],
            "ms": 1e3 * statistics.median(seconds),
            "best_ms": 1e3 * min(seconds),
            "tokens_per_s": (len(text) - 1) / statistics.median(seconds),
            "peak_bytes": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
        },
        sys.stdout,
    )
    print()


if __name__ == "__main__":
    main()

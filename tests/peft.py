"""Reads and writes adapters as folders of Hugging Face's PEFT: adapter_config.json and
adapter_model.safetensors. Written from PEFT's own layout, to hold the program against.

Needs Python's standard library only.
"""

import array
import json
import math
import pathlib
import random

import hugging_face

# Where each module lies in a layer.
MODULES = {"q_proj": "self_attn", "k_proj": "self_attn", "v_proj": "self_attn",
           "o_proj": "self_attn", "gate_proj": "mlp", "up_proj": "mlp", "down_proj": "mlp"}


def scale(config):
    rank = config["r"]
    return config["lora_alpha"] / (math.sqrt(rank) if config.get("use_rslora") else rank)


def read(folder):
    """(config, {module: (A, B)}), A and B as lists of rows; modules as in
    "model.layers.0.self_attn.q_proj"."""
    folder = pathlib.Path(folder)
    config = json.loads((folder / "adapter_config.json").read_text())
    tensors = hugging_face.read_tensors(folder / "adapter_model.safetensors")
    pairs = {}
    for name, (kind, (rows, cols), data) in tensors.items():
        start, end = "base_model.model.", ".weight"
        assert name.startswith(start) and name.endswith(end), name
        module, part = name[len(start):-len(end)].rsplit(".", 1)
        assert part in ("lora_A", "lora_B"), name
        numbers = hugging_face.floats(kind, data)
        matrix = [numbers[row * cols:(row + 1) * cols] for row in range(rows)]
        pairs.setdefault(module, {})[part] = matrix
    return config, {module: (pair["lora_A"], pair["lora_B"]) for module, pair in pairs.items()}


def merged(tensors, config, pairs):
    """The tensors of a model (hugging_face.read_tensors) with W + scale B A, as F32."""
    tensors = dict(tensors)
    for module, (a, b) in pairs.items():
        kind, shape, data = tensors[module + ".weight"]
        weight = hugging_face.floats(kind, data)
        assert shape == (len(b), len(a[0])), module
        columns = list(zip(*a))
        for n, of_output in enumerate(b):
            for k, of_input in enumerate(columns):
                weight[n * shape[1] + k] += scale(config) * sum(
                    x * y for x, y in zip(of_output, of_input))
        tensors[module + ".weight"] = ("F32", shape, array.array("f", weight).tobytes())
    return tensors


def write(folder, model, targets, rank, seed, own=None, **fields):
    """A random adapter of a model with this config.json, for the targets in every layer. `own`: the
    object "tidar"."""
    rng = random.Random(seed)
    folder = pathlib.Path(folder)
    folder.mkdir()
    config = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": "base",
              "r": rank, "lora_alpha": 5, "lora_dropout": 0.05, "target_modules": targets,
              "bias": "none", "use_rslora": False, "use_dora": False, "fan_in_fan_out": False,
              "modules_to_save": None, "rank_pattern": {}, "alpha_pattern": {},
              "layers_to_transform": None, "init_lora_weights": True, "revision": None, **fields}
    if own is not None:
        config["tidar"] = own
    (folder / "adapter_config.json").write_text(json.dumps(config))
    tensors = {}
    for name, shape in hugging_face.weights(model).items():
        module = name.removesuffix(".weight")
        if module.rsplit(".", 1)[-1] not in targets or len(shape) != 2:
            continue
        for part, (rows, cols) in (("lora_A", (rank, shape[1])), ("lora_B", (shape[0], rank))):
            numbers = array.array("f", (rng.gauss(0, 0.3) for _ in range(rows * cols)))
            tensors[f"base_model.model.{module}.{part}.weight"] = (
                "F32", (rows, cols), numbers.tobytes())
    hugging_face.write_tensors(folder / "adapter_model.safetensors", tensors)
    return folder

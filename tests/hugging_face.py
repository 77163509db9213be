"""Reads and writes models as Hugging Face folders: config.json and model.safetensors.

Needs Python's standard library only.
"""

import json
import pathlib
import struct

SIZES = {"F32": 4, "F16": 2, "BF16": 2, "I32": 4, "I64": 8, "I8": 1, "U8": 1, "F8_E4M3": 1}


def read_tensors(path):
    """Name -> (type, shape, bytes) of a safetensors file."""
    data = pathlib.Path(path).read_bytes()
    (length,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__", None)
    body = data[8 + length :]
    return {name: (entry["dtype"], tuple(entry["shape"]),
                   body[entry["data_offsets"][0] : entry["data_offsets"][1]])
            for name, entry in header.items()}


def write_tensors(path, tensors):
    header, end = {}, 0
    for name, (kind, shape, data) in tensors.items():
        count = 1
        for dimension in shape:
            count *= dimension
        assert len(data) == count * SIZES[kind], name
        header[name] = {"dtype": kind, "shape": list(shape),
                        "data_offsets": [end, end + len(data)]}
        end += len(data)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.writelines(data for _, _, data in tensors.values())


def write_folder(folder, config, tensors):
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    write_tensors(folder / "model.safetensors", tensors)
    return folder


def floats(kind, data):
    """The numbers of a plain tensor."""
    if kind == "BF16":
        data = b"".join(b"\0\0" + data[at : at + 2] for at in range(0, len(data), 2))
    elif kind == "F16":
        return list(struct.unpack(f"<{len(data) // 2}e", data))
    return list(struct.unpack(f"<{len(data) // 4}f", data))


def weights(config):
    """Name -> shape of every tensor of a config.json of our families, as published folders have
    them."""
    hidden, ffn, vocabulary = (config[key] for key in (
        "hidden_size", "intermediate_size", "vocab_size"))
    size = config["head_dim"]
    queries, keys = (config[key] * size for key in ("num_attention_heads", "num_key_value_heads"))
    table = {"model.embed_tokens.weight": (vocabulary, hidden)}
    for layer in range(config["num_hidden_layers"]):
        own = {"input_layernorm.weight": (hidden,), "self_attn.q_proj.weight": (queries, hidden),
               "self_attn.k_proj.weight": (keys, hidden),
               "self_attn.v_proj.weight": (keys, hidden),
               "self_attn.o_proj.weight": (hidden, queries),
               "post_attention_layernorm.weight": (hidden,),
               "mlp.gate_proj.weight": (ffn, hidden), "mlp.up_proj.weight": (ffn, hidden),
               "mlp.down_proj.weight": (hidden, ffn)}
        if config["model_type"] == "qwen2":
            own |= {f"self_attn.{name}_proj.bias": (count,)
                    for name, count in (("q", queries), ("k", keys), ("v", keys))}
        if config["model_type"] == "qwen3":
            own |= {f"self_attn.{name}_norm.weight": (size,) for name in "qk"}
        table |= {f"model.layers.{layer}.{name}": shape for name, shape in own.items()}
    table["model.norm.weight"] = (hidden,)
    if not config["tie_word_embeddings"]:
        table["lm_head.weight"] = (vocabulary, hidden)
    return table

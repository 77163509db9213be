"""Writes GGUF files for tests and tools, from the format's public description.

Needs Python's standard library only.
"""

import random
import struct

# Types of values, and formats of tensors: number, elements and bytes of a block, and where in it the
# f16 scales stand.
U32, I32, F32_VALUE, BOOL, TEXT, LIST = 4, 5, 6, 7, 8, 9
FORMATS = {
    "F32": (0, 1, 4, ()), "F16": (1, 1, 2, ()), "BF16": (30, 1, 2, ()),
    "Q8_0": (8, 32, 34, (0,)), "Q4_0": (2, 32, 18, (0,)), "Q4_1": (3, 32, 20, (0, 2)),
    "Q5_0": (6, 32, 22, (0,)), "Q5_1": (7, 32, 24, (0, 2)), "Q4_K": (12, 256, 144, (0, 2)),
    "Q5_K": (13, 256, 176, (0, 2)), "Q6_K": (14, 256, 210, (208,)), "IQ4_NL": (20, 32, 18, (0,)),
}
# What the largest code of a block times its scales comes to: for random blocks of a given size.
REACH = {"Q8_0": 128, "Q4_0": 8, "Q4_1": 15, "Q5_0": 16, "Q5_1": 31, "Q4_K": 15 * 63,
         "Q5_K": 31 * 63, "Q6_K": 32 * 128, "IQ4_NL": 127}
ALIGNMENT = 32


def text(value):
    data = value if isinstance(value, bytes) else value.encode()
    return struct.pack("<Q", len(data)) + data


def value(item):
    """Type and bytes of an entry's value: a bool, an int (u32), a float (f32), a str, or a list of
    str, of int (i32) or of float."""
    if isinstance(item, bool):
        return BOOL, struct.pack("<?", item)
    if isinstance(item, int):
        return U32, struct.pack("<I", item)
    if isinstance(item, float):
        return F32_VALUE, struct.pack("<f", item)
    if isinstance(item, (str, bytes)):
        return TEXT, text(item)
    if item and isinstance(item[0], int):
        kind, data = I32, struct.pack(f"<{len(item)}i", *item)
    elif item and isinstance(item[0], float):
        kind, data = F32_VALUE, struct.pack(f"<{len(item)}f", *item)
    else:
        kind, data = TEXT, b"".join(map(text, item))
    return LIST, struct.pack("<IQ", kind, len(item)) + data


def padding(size):
    return bytes(-size % ALIGNMENT)


def size_of(name, shape):
    """Bytes of a tensor of this format."""
    _, elements, size, _ = FORMATS[name]
    count = 1
    for dimension in shape:
        count *= dimension
    return count // elements * size


def header(entries, tensors, version=3):
    """All before the data: `entries` is a dict, `tensors` are (name, format, shape), rows first."""
    head = struct.pack("<4sIQQ", b"GGUF", version, len(tensors), len(entries))
    for key, item in entries.items():
        kind, data = value(item)
        head += text(key) + struct.pack("<I", kind) + data
    offset = 0
    for name, kind, shape in tensors:
        head += text(name) + struct.pack(f"<I{len(shape)}Q", len(shape), *reversed(shape))
        head += struct.pack("<IQ", FORMATS[kind][0], offset)
        size = size_of(kind, shape)
        offset += size + len(padding(size))
    return head + padding(len(head))


def write(path, entries, tensors, version=3):
    """`tensors`: (name, format, shape, bytes)."""
    with open(path, "wb") as file:
        file.write(header(entries, [tensor[:3] for tensor in tensors], version))
        for name, kind, shape, data in tensors:
            assert len(data) == size_of(kind, shape), name
            file.write(data + padding(len(data)))
    return path


def random_blocks(rng, kind, count, reach):
    """`count` elements in blocks of random codes, none much larger than `reach`."""
    _, elements, size, scales = FORMATS[kind]
    data = bytearray(rng.randbytes(count // elements * size))
    for block in range(0, len(data), size):
        for at in scales:
            scale = rng.uniform(0.3, 1) * reach / REACH[kind] * rng.choice((-1, 1))
            struct.pack_into("<e", data, block + at, scale)
    return bytes(data)


def plain(kind, values):
    """Numbers as F32, F16 or BF16, the last by cutting off what does not fit."""
    if kind == "F32":
        return struct.pack(f"<{len(values)}f", *values)
    if kind == "F16":
        return struct.pack(f"<{len(values)}e", *values)
    wide = struct.pack(f"<{len(values)}f", *values)
    return b"".join(wide[at + 2 : at + 4] for at in range(0, len(wide), 4))


def random_tensor(rng, kind, shape, reach):
    count = 1
    for dimension in shape:
        count *= dimension
    if kind in REACH:
        return random_blocks(rng, kind, count, reach)
    return plain(kind, [rng.uniform(-reach, reach) for _ in range(count)])


def generator(seed):
    return random.Random(seed)


# --- models --------------------------------------------------------------------------------------

OUTSIDE = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}
IN_LAYER = {
    "input_layernorm": "attn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v", "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm", "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm", "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down"}


def tensor_name(name):
    """What a file calls a tensor of a Hugging Face folder."""
    stem, _, end = name.rpartition(".")
    if stem in OUTSIDE:
        return f"{OUTSIDE[stem]}.{end}"
    _, _, layer, rest = stem.split(".", 3)
    return f"blk.{layer}.{IN_LAYER[rest]}.{end}"


def paired_rows(data, rows, head_size):
    """Rows of queries or keys of a Llama as files have them: element i of a head before element
    i + E/2, which one angle rotates."""
    size, half = len(data) // rows, head_size // 2
    order = [begin + j * half + i for begin in range(0, rows, head_size)
             for i in range(half) for j in range(2)]
    return b"".join(data[row * size : (row + 1) * size] for row in order)


def is_paired(config, name):
    """Whether a file of this model has the rows of this tensor (of a folder) in pairs."""
    return config["model_type"] == "llama" and name.split(".")[-2] in ("q_proj", "k_proj")


def model_entries(config):
    """The entries that say what a config.json says."""
    arch = config["model_type"]
    entries = {"general.architecture": arch, "general.name": "test"}
    for key, field in (
            ("context_length", "max_position_embeddings"), ("embedding_length", "hidden_size"),
            ("block_count", "num_hidden_layers"), ("feed_forward_length", "intermediate_size"),
            ("attention.head_count", "num_attention_heads"),
            ("attention.head_count_kv", "num_key_value_heads"),
            ("attention.key_length", "head_dim"), ("attention.value_length", "head_dim"),
            ("rope.dimension_count", "head_dim"), ("rope.freq_base", "rope_theta"),
            ("attention.layer_norm_rms_epsilon", "rms_norm_eps")):
        entries[f"{arch}.{key}"] = config[field]
    if "tidar" in config:
        entries["tokenizer.ggml.mask_token_id"] = config["tidar"]["mask_token_id"]
        entries["tidar.block_size"] = config["tidar"]["block_size"]
        entries["tidar.layout"] = config["tidar"]["layout"]
    for name in ("bos", "eos"):
        if config.get(f"{name}_token_id") is not None:
            entries[f"tokenizer.ggml.{name}_token_id"] = config[f"{name}_token_id"]
    return entries


NORMAL, CONTROL, USER_DEFINED = 1, 3, 4


def tokenizer_entries(tokenizer, pre):
    """The entries of a byte-level tokenizer.json whose rule for cutting is called `pre`."""
    tokens = {index: (token, NORMAL) for token, index in tokenizer["model"]["vocab"].items()}
    for token in tokenizer["added_tokens"]:
        tokens[token["id"]] = (token["content"], CONTROL if token["special"] else USER_DEFINED)
    merges = [merge if isinstance(merge, str) else " ".join(merge)
              for merge in tokenizer["model"]["merges"]]
    return {"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": pre,
            "tokenizer.ggml.tokens": [tokens[index][0] for index in range(len(tokens))],
            "tokenizer.ggml.token_type": [tokens[index][1] for index in range(len(tokens))],
            "tokenizer.ggml.merges": merges}

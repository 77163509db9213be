"""llama.cpp's own arithmetic and tokenizers, by its C interface: what scripts/fetch-llama-cpp brings.

Needs Python's standard library only.
"""

import ctypes
import pathlib

FOLDER = (pathlib.Path(__file__).resolve().parent.parent /
          "build/llama_cpp/node_modules/@node-llama-cpp/linux-x64/bins/linux-x64")


class Params(ctypes.Structure):
    """Parameters, whose layout is llama.cpp's own business: they go from its defaults back to it.
    Larger than they are, and always the last argument."""
    _fields_ = [("bytes", ctypes.c_uint8 * 1024)]


class Batch(ctypes.Structure):
    _fields_ = [("n_tokens", ctypes.c_int32)] + [
        (name, ctypes.c_void_p)
        for name in ("token", "embd", "pos", "n_seq_id", "seq_id", "logits")]


SILENT = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)(lambda *_: None)


def present():
    return FOLDER.is_dir()


class Library:
    def __init__(self):
        def load(stem):
            (path,) = (path for path in FOLDER.glob(f"{stem}*.so")
                       if path.name.removeprefix(stem).startswith((".v", ".so")))
            return ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL)
        self.base, ggml, self.llama = load("libggml-base"), load("libggml"), load("libllama")
        pointer = ctypes.c_void_p
        for name, result, *arguments in (
                ("llama_model_default_params", Params),
                ("llama_context_default_params", Params),
                ("llama_model_load_from_file", pointer, ctypes.c_char_p, Params),
                ("llama_init_from_model", pointer, pointer, Params),
                ("llama_model_get_vocab", pointer, pointer),
                ("llama_vocab_n_tokens", ctypes.c_int32, pointer),
                ("llama_batch_get_one", Batch, pointer, ctypes.c_int32),
                ("llama_decode", ctypes.c_int32, pointer, Batch),
                ("llama_get_logits_ith", ctypes.POINTER(ctypes.c_float), pointer, ctypes.c_int32),
                ("llama_tokenize", ctypes.c_int32, pointer, ctypes.c_char_p, ctypes.c_int32,
                 pointer, ctypes.c_int32, ctypes.c_bool, ctypes.c_bool),
                ("llama_free", None, pointer), ("llama_model_free", None, pointer)):
            function = getattr(self.llama, name)
            function.restype, function.argtypes = result, arguments
        self.llama.llama_log_set(SILENT, None)
        ggml.ggml_backend_load_all_from_path(str(FOLDER).encode())

    def open(self, path):
        return Model(self, path)


class Model:
    """A GGUF file, opened. To be used in a `with`."""

    def __init__(self, library, path):
        self.llama = library.llama
        self.model = self.llama.llama_model_load_from_file(
            str(path).encode(), self.llama.llama_model_default_params())
        if not self.model:
            raise ValueError(f"llama.cpp does not open {path}")
        self.vocabulary = self.llama.llama_model_get_vocab(self.model)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.llama.llama_model_free(self.model)

    def logits(self, ids):
        """Those behind the last id."""
        context = self.llama.llama_init_from_model(
            self.model, self.llama.llama_context_default_params())
        tokens = (ctypes.c_int32 * len(ids))(*ids)
        batch = self.llama.llama_batch_get_one(tokens, len(ids))
        assert self.llama.llama_decode(context, batch) == 0
        row = self.llama.llama_get_logits_ith(context, -1)
        logits = row[: self.llama.llama_vocab_n_tokens(self.vocabulary)]
        self.llama.llama_free(context)
        return logits

    def ids(self, text, special=True):
        """Those of a text, with what stands around every text if `special`; special tokens in it
        are found."""
        data = text.encode()
        tokens = (ctypes.c_int32 * (len(data) + 8))()
        count = self.llama.llama_tokenize(self.vocabulary, data, len(data), tokens, len(tokens),
                                          special, True)
        return list(tokens[:count])

#!/usr/bin/env python3
"""LoRA from outside: adapters that `tidar train` makes, and those of others that decoding uses, read
and merged by a reader of our own (peft.py).

    python3 tests/lora_test.py build/release/tidar
"""

import array
import json
import math
import pathlib
import struct
import tempfile
import unittest

import hugging_face
import peft
from outside import SMALL_MODEL, Case, comma, load, main, run, small_run

FOLDER, FIELDS = pathlib.Path(), {}  # what setUpModule makes
BASE = pathlib.Path()  # an AR checkpoint
MASKS = {"r": 4, "lora_alpha": 8, "target_modules": ["q_proj", "v_proj", "gate_proj", "down_proj"],
         "rows": "masks"}
STEPS = 40
IDS = [260, 261, 262, 270, 280, 290, 300, 33, 44, 55, 66]


def setUpModule():
    """A base that has learnt a little, by AR alone."""
    global FOLDER, FIELDS, BASE
    holder = tempfile.TemporaryDirectory()
    unittest.addModuleCleanup(holder.cleanup)
    FOLDER = pathlib.Path(holder.name)
    FIELDS = small_run(FOLDER, steps=STEPS)
    added = load(FOLDER / "words/tokenizer.json")["added_tokens"]
    end, = (token["id"] for token in added if token["content"] == "<|endoftext|>")
    config = FOLDER / "config.json"
    config.write_text(json.dumps({**load(config), "eos_token_id": end}))
    fields = {**FIELDS, "out": str(FOLDER / "base"), "objective": "ar", "weights": "bf16"}
    (FOLDER / "base.json").write_text(json.dumps(fields))
    code, _, err = run("train", "--config", FOLDER / "base.json")
    assert code == 0, err
    BASE = FOLDER / "base" / "latest"


class LoraCase(Case):
    def config(self, lora, **changes):
        fields = {**FIELDS, "model_config": None, "init": str(BASE), "out": str(self.out),
                  "lora": lora, "learning_rate": 1e-2, **changes}
        return self.put("run.json", json.dumps({k: v for k, v in fields.items() if v is not None}))

    def train(self, lora, *args, **changes):
        return self.succeed("train", "--config", self.config(lora, **changes), *args)[1]

    def logits(self, model, *args, layout="causal"):
        """Raw bytes."""
        out = self.folder / "logits.f32"
        self.succeed("logits", "--model", model, "--ids", comma(IDS), "--pass", layout, "--out",
                     out, *args)
        return out.read_bytes()

    def assertClose(self, found, expected, tolerance=2e-4):
        found, expected = (array.array("f", data) for data in (found, expected))
        self.assertEqual(len(found), len(expected))
        self.assertLess(max(abs(a - b) for a, b in zip(found, expected)), tolerance)

    def mask_token(self):
        return load(self.out / "latest/config.json")["tidar"]["mask_token_id"]

    def merge(self, config, pairs):
        """A folder of the base with the adapter in its weights, made by peft.py."""
        folder = self.folder / "merged"
        return hugging_face.write_folder(
            folder, load(BASE / "config.json"),
            peft.merged(hugging_face.read_tensors(BASE / "model.safetensors"), config, pairs))


class Masks(LoraCase):
    def test_ar_stays_the_base_models_to_the_bit(self):
        err = self.train(MASKS, validation={"held": FIELDS["train"]}, validation_packs=4,
                         validate_every=STEPS)
        self.assertIn("LoRA of rank 4, scale 2, on q_proj, v_proj, gate_proj, down_proj, mask rows "
                      "alone", err)
        self.assertIn("kept beside the weights", err)
        latest = self.out / "latest"
        # The base is there as it was, byte by byte.
        self.assertEqual((latest / "model.safetensors").read_bytes(),
                         (BASE / "model.safetensors").read_bytes())
        config = load(latest / "config.json")
        self.assertEqual(config["tidar"], {"mask_token_id": config["tidar"]["mask_token_id"],
                                           "block_size": 4, "layout": "tidar",
                                           "adapter": "adapter"})
        self.assertEqual({k: v for k, v in config.items() if k != "tidar"},
                         {k: v for k, v in load(BASE / "config.json").items() if k != "tidar"})
        # So are its logits where no mask stands; those of masks are others.
        for weights in ("bf16", "f32", "w8", "w4"):
            args = ("--weights", weights)
            self.assertEqual(self.logits(latest, *args), self.logits(BASE, *args), weights)
            masked = ("--mask-token", self.mask_token(), *args)
            mine = self.logits(latest, *masked, layout="tidar-train:4")
            base = self.logits(BASE, *masked, layout="tidar-train:4")
            half = len(base) // 2
            self.assertEqual(mine[:half], base[:half], weights)
            self.assertNotEqual(mine[half:], base[half:], weights)
        # It has learnt to draft, and AR has neither lost nor won.
        held = [json.loads(line)["held"] for line in (self.out / "log.jsonl").read_text().split("\n")
                if '"held"' in line]
        self.assertEqual(held[0]["ar"], held[-1]["ar"])
        self.assertLess(held[-1]["diffusion"], 0.95 * held[0]["diffusion"])

    def test_tidar_writes_what_ar_of_the_base_writes(self):
        self.train(MASKS)
        for args in ((), ("--temperature", 1, "--seed", 5)):
            texts = []
            for model, method in ((BASE, "ar"), (self.out / "latest", "tidar")):
                out, _ = self.succeed("generate", "--model", model, "--method", method, "--prompt",
                                      "7 + 5 = ", "--max-new", 40, "--json", *args)
                texts.append(json.loads(out)["tokens"])
            self.assertEqual(*texts)

    def test_the_files_are_pefts(self):
        self.train(MASKS)
        config, pairs = peft.read(self.out / "latest/adapter")
        self.assertEqual({key: config[key] for key in (
            "peft_type", "r", "lora_alpha", "target_modules", "bias", "use_rslora", "tidar")},
            {"peft_type": "LORA", "r": 4, "lora_alpha": 8, "bias": "none", "use_rslora": False,
             "target_modules": MASKS["target_modules"],
             "tidar": {"rows": "masks", "mask_token_id": self.mask_token()}})
        self.assertEqual(set(pairs), {
            f"model.layers.{layer}.{peft.MODULES[name]}.{name}"
            for layer in range(SMALL_MODEL["num_hidden_layers"])
            for name in MASKS["target_modules"]})
        for module, (a, b) in pairs.items():
            weight = hugging_face.weights(SMALL_MODEL)[module + ".weight"]
            self.assertEqual((len(b), len(a[0])), weight)
            self.assertEqual((len(a), len(b[0])), (4, 4))
            self.assertGreater(max(max(map(abs, row)) for row in b), 1e-3, "B has moved from 0")
        # On a pass of masks alone, the adapter of mask rows is one of all rows: the merged weights.
        mask = self.mask_token()
        ids = ("--ids", comma([mask] * 6))
        logits = []
        for model in (self.out / "latest", self.merge(config, pairs)):
            out = self.folder / "masks.f32"
            self.succeed("logits", "--model", model, *ids, "--pass", "full", "--weights", "f32",
                         "--mask-token", mask, "--out", out)
            logits.append(out.read_bytes())
        self.assertClose(*logits)

    def test_a_run_goes_on_to_the_bit(self):
        files = ("adapter/adapter_model.safetensors", "optimizer.safetensors")
        self.train(MASKS, ema=0.9)
        whole = [(self.out / "latest" / name).read_bytes() for name in files]
        self.train(MASKS, "--resume-from", STEPS - 5, ema=0.9)
        self.assertEqual([(self.out / "latest" / name).read_bytes() for name in files], whole)
        # Other ranks are another network.
        self.refuse(1, "train", "--config", self.config({**MASKS, "r": 5}, ema=0.9), "--resume",
                    holds=["optimizer.safetensors", '"lora"'], alone=False)

    def test_a_new_adapter_is_a_function_of_the_seed_and_adds_nothing(self):
        folders = []
        for name, seed in (("a", 3), ("b", 3), ("c", 4)):
            self.out = self.folder / name
            self.train(MASKS, steps=1, learning_rate=0, final_learning_rate=0, seed=seed,
                       warmup_steps=0)
            folders.append(peft.read(self.out / "latest/adapter")[1])
        self.assertEqual(folders[0], folders[1])
        for module, (a, b) in folders[0].items():
            self.assertNotEqual(a, folders[2][module][0])
            self.assertEqual(max(max(row) for row in b), 0)
            bound = len(a[0]) ** -0.5
            self.assertLess(max(max(map(abs, row)) for row in a), bound)
            self.assertGreater(max(max(map(abs, row)) for row in a), 0.8 * bound)


class AllRows(LoraCase):
    ALL = {"r": 3, "lora_alpha": 5, "use_rslora": True}

    def masters(self, kind="master"):
        """(config, pairs) as peft.read() gives them, of the optimizer's file."""
        tensors = hugging_face.read_tensors(self.out / "latest/optimizer.safetensors")
        pairs = {}
        for name, (_, shape, data) in tensors.items():
            if name.startswith(kind + ".") and ".lora_" in name:
                rows, cols = shape
                module, part = name.removeprefix(kind + ".").removesuffix(".weight").rsplit(".", 1)
                numbers = hugging_face.floats("F32", data)
                pairs.setdefault(module, {})[part] = [
                    numbers[row * cols:(row + 1) * cols] for row in range(rows)]
        return self.ALL, {module: (pair["lora_A"], pair["lora_B"])
                          for module, pair in pairs.items()}

    def test_checkpoints_have_it_merged(self):
        for changes, kind in (({}, "master"), ({"ema": 0.9}, "average")):
            self.out = self.folder / kind
            self.train(self.ALL, objective="ar", mask_token=None, **changes)
            latest = self.out / "latest"
            self.assertFalse((latest / "adapter").exists())
            self.assertNotIn("tidar", load(latest / "config.json"))
            config, pairs = self.masters(kind)
            self.assertEqual(len(pairs), 7 * SMALL_MODEL["num_hidden_layers"])
            expected = peft.merged(hugging_face.read_tensors(BASE / "model.safetensors"), config,
                                   pairs)
            found = hugging_face.read_tensors(latest / "model.safetensors")
            self.assertEqual(set(found), set(expected))
            for name, (form, shape, data) in found.items():
                self.assertEqual((form, shape), ("F32", expected[name][1]))
                numbers = (hugging_face.floats("F32", data),
                           hugging_face.floats(expected[name][0], expected[name][2]))
                self.assertLess(max(abs(a - b) for a, b in zip(*numbers)), 1e-6, name)

    def test_one_that_is_kept_says_what_the_merged_one_says(self):
        self.train({**self.ALL, "merge": False}, objective="ar", mask_token=None)
        latest = self.out / "latest"
        config, pairs = peft.read(latest / "adapter")
        self.assertNotIn("tidar", config)
        self.assertEqual(load(latest / "config.json")["tidar"], {"adapter": "adapter"})
        self.assertEqual((latest / "model.safetensors").read_bytes(),
                         (BASE / "model.safetensors").read_bytes())
        kept = self.logits(latest, "--weights", "f32")
        self.assertEqual(kept, self.logits(BASE, "--weights", "f32", "--adapter",
                                           latest / "adapter"))
        self.assertClose(kept, self.logits(self.merge(config, pairs)))
        self.assertNotEqual(kept, self.logits(BASE, "--weights", "f32"))

    def test_rules_hold_for_its_tensors(self):
        self.train({"r": 2, "target_modules": ["q_proj", "o_proj"], "merge": False},
                   frozen=["*lora_A*"], rates={"*o_proj.lora_B*": 0}, weight_decay=0)
        self.out, before = self.folder / "before", self.out
        self.train({"r": 2, "target_modules": ["q_proj", "o_proj"], "merge": False}, steps=1,
                   learning_rate=0, final_learning_rate=0)
        pairs = [peft.read(out / "latest/adapter")[1] for out in (before, self.out)]
        for module, (a, b) in pairs[0].items():
            self.assertEqual(a, pairs[1][module][0], "A is frozen")
            self.assertEqual(b == pairs[1][module][1], module.endswith("o_proj"))


class OfOthers(LoraCase):
    """Adapters that peft.py wrote."""

    def write(self, name="adapter", targets=("q_proj", "down_proj"), rank=3, **fields):
        return peft.write(self.folder / name, SMALL_MODEL, list(targets), rank, 7, **fields)

    def test_add_what_merging_adds(self):
        for name, targets, fields in (
                ("plain", ("q_proj", "down_proj"), {}),
                ("rooted", ("k_proj", "up_proj", "o_proj"), {"use_rslora": True}),
                ("all", tuple(peft.MODULES), {"lora_alpha": 2})):
            folder = self.write(name, targets, **fields)
            found = self.logits(BASE, "--weights", "f32", "--adapter", folder)
            self.assertClose(found, self.logits(self.merge(*peft.read(folder))))
            self.assertNotEqual(found, self.logits(BASE, "--weights", "f32"))

    def test_stay_beside_weights_of_few_bits(self):
        folder = self.write()
        for weights in ("w8", "w4"):
            base = self.logits(BASE, "--weights", weights)
            self.assertNotEqual(self.logits(BASE, "--weights", weights, "--adapter", folder), base)
        masks = self.write("masks", own={"rows": "masks", "mask_token_id": 319})
        self.assertEqual(self.logits(BASE, "--weights", "w4", "--adapter", masks), base)

    def test_inspect_says_so(self):
        folder = self.write(own={"rows": "masks", "mask_token_id": 319})
        out, _ = self.succeed("inspect", "--model", BASE, "--adapter", folder)
        self.assertIn("adapter LoRA of rank 3, scale 1.667, on q_proj, down_proj, mask rows alone, "
                      "960 parameters", out)
        out, _ = self.succeed("inspect", "--model", BASE, "--adapter", folder, "--json")
        self.assertEqual(json.loads(out)["adapter"]["rows"], "masks")
        out, _ = self.succeed("inspect", "--model", BASE, "--json")
        self.assertIsNone(json.loads(out)["adapter"])

    def refuse_adapter(self, folder, *parts):
        self.refuse(1, "logits", "--model", BASE, "--ids", "1,2", "--out", self.folder / "x",
                    "--adapter", folder, holds=parts)

    def test_what_would_change_results_is_refused_by_name(self):
        for number, (field, value) in enumerate((
                ("use_dora", True), ("bias", "lora_only"), ("rank_pattern", {"q_proj": 8}),
                ("alpha_pattern", {"q_proj": 8}), ("modules_to_save", ["lm_head"]),
                ("fan_in_fan_out", True), ("layer_replication", [[0, 2]]), ("lora_bias", True),
                ("init_lora_weights", "pissa"), ("trainable_token_indices", [1]))):
            folder = self.write(f"refused{number}", **{field: value})
            self.refuse_adapter(folder, field, "merge_and_unload()")
        self.refuse_adapter(self.write("kind", peft_type="LOHA"), "peft_type", "'LORA'")

    def test_what_does_not_fit_is_refused(self):
        self.refuse_adapter(self.folder / "none", "adapter_config.json", "save_pretrained()")
        folder = self.write("head", ("q_proj", "lm_head"))
        self.refuse_adapter(folder, "'target_modules' names 'lm_head'", "q_proj, k_proj")
        folder = self.write("masks", own={"rows": "masks"})
        self.refuse_adapter(folder, "which token", "mask_token_id")
        path = self.write("infinite") / "adapter_model.safetensors"
        path.write_bytes(path.read_bytes()[:-4] + struct.pack("<f", math.inf))
        self.refuse_adapter(path.parent, "is not a finite number")
        folder = self.write("rank")
        path = folder / "adapter_config.json"
        path.write_text(json.dumps({**load(path), "r": 4}))
        self.refuse_adapter(folder, "lora_A.weight", "[3, 32]", "[4, 32]")
        path.write_text(json.dumps({**load(path), "r": 3, "target_modules": ["q_proj", "k_proj",
                                                                             "down_proj"]}))
        self.refuse_adapter(folder, "base_model.model.model.layers.0.self_attn.k_proj.lora_A.weight",
                            "missing")
        for name, parts in (
                ("base_model.model.model.layers.7.self_attn.q_proj.lora_A.weight", "2 layers"),
                ("model.layers.0.self_attn.q_proj.lora_A.weight", "base_model.model.")):
            folder = self.write("extra" + name[:2])
            file = folder / "adapter_model.safetensors"
            tensors = hugging_face.read_tensors(file)
            tensors[name] = tensors["base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"]
            hugging_face.write_tensors(file, tensors)
            self.refuse_adapter(folder, name, parts)
        self.refuse(1, "gradients", "--model", BASE, "--ids", "1,2,3", "--objective", "ar", "--out",
                    self.folder / "x", "--adapter", self.write("gradients"),
                    holds=["without an adapter"])


class Fields(LoraCase):
    def refuse_run(self, lora, *parts, **changes):
        self.refuse(1, "train", "--config", self.config(lora, **changes), holds=parts, alone=False)

    def test_what_makes_no_sense_is_refused(self):
        self.refuse_run({}, "lora", "'r'")
        self.refuse_run({"r": 4, "rank": 4}, "'rank'")
        self.refuse_run({"r": 4, "target_modules": ["q_proj", "head"]}, "'target_modules'",
                        "q_proj, k_proj")
        self.refuse_run({"r": 4, "target_modules": []}, "'target_modules'")
        self.refuse_run({"r": 4, "rows": "some"}, "'all' or 'masks'")
        self.refuse_run({"r": 4, "rows": "masks", "merge": True}, "'merge'")
        self.refuse_run({"r": 4, "rows": "masks"}, "'rows'", "ar has no masks", objective="ar")

    def test_one_adapter_at_a_time(self):
        self.train(MASKS, steps=1)
        latest = self.out / "latest"
        self.refuse(1, "logits", "--model", latest, "--ids", "1,2", "--out", self.folder / "x",
                    "--adapter", latest / "adapter", holds=["adapter of its own"])
        self.out = self.folder / "second"
        self.refuse_run(MASKS, "has an adapter", "its base", init=str(latest.resolve()))

    def test_it_can_be_set_and_the_page_says_so(self):
        out = self.folder / "converted"
        text, _ = self.succeed(
            "convert", "--model", BASE, "--data", FOLDER / "corpus.jsonl", "--out", out,
            "--block-size", 4, "--set", "steps=10", "--set",
            'lora={"r": 2, "rows": "masks", "target_modules": ["o_proj"]}')
        page = (out / "latest/README.md").read_text()
        for part in ("LoRA of rank 2, scale 2, on o_proj, mask rows alone", "`adapter/`",
                     "to the bit"):
            self.assertIn(part, page)
        self.assertIn("(+0.0 %)", page)
        self.assertTrue((out / "latest/adapter/adapter_model.safetensors").exists())
        # Quantising keeps it beside the codes.
        self.succeed("quantize", "--model", out / "latest", "--out", self.folder / "small",
                     "--weights", "w8")
        self.assertEqual((self.folder / "small/adapter/adapter_model.safetensors").read_bytes(),
                         (out / "latest/adapter/adapter_model.safetensors").read_bytes())
        out, _ = self.succeed("inspect", "--model", self.folder / "small")
        self.assertIn("adapter LoRA of rank 2", out)


if __name__ == "__main__":
    main()

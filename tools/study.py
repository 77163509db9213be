#!/usr/bin/env python3
"""Carries out a study: trains its models, evaluates them in all its ways, times passes, and writes
the report and its page of the documentation. docs/evaluation.md describes the plan's format.

    tools/study.py --program build/release/tidar study/small.json [--jobs N] [--set name=value ...]

What is done is kept in the plan's folder "out". A study that was ended in whatever way goes on with
the same command; what the plan has changed since is done again. Needs Python's standard library
only.
"""

import argparse
import concurrent.futures
import itertools
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import time

from measured import processor, with_block

PLAN_FIELDS = {"title", "notes", "out", "publish", "before", "training", "seeds", "models",
               "tasks", "always", "entries", "latency"}
ENTRY_FIELDS = {"each", "label", "series", "role", "in", "model", "flags", "tasks", "draft_length",
                "masking", "alpha", "trust_ar", "confidence"}
# What an entry says to this program and not to the report.
DRIVING_FIELDS = {"each", "model", "flags", "tasks"}


class StudyError(Exception):
    """A sentence for the user."""


# --- the plan -------------------------------------------------------------------------------------


def filled(value, values):
    """`value` with each {name} replaced. A text that is nothing but one {name} becomes the value
    itself, a number say."""
    if isinstance(value, str):
        whole = re.fullmatch(r"\{(\w+)\}", value)
        if whole and whole[1] in values:
            return values[whole[1]]
        return re.sub(r"\{(\w+)\}", lambda name: str(values.get(name[1], name[0])), value)
    if isinstance(value, list):
        return [filled(part, values) for part in value]
    if isinstance(value, dict):
        return {key: filled(part, values) for key, part in value.items()}
    return value


def check_fields(fields, known, where):
    for name in fields:
        if name not in known:
            names = ", ".join(sorted(known))
            raise StudyError(f"{where}: unknown field {name!r}; known are {names}")


def expanded(entry):
    """One for every combination of the values of its "each"."""
    each = entry.get("each", {})
    for combination in itertools.product(*each.values()):
        yield filled({key: value for key, value in entry.items() if key != "each"},
                     dict(zip(each, combination)))


def expanded_models(models):
    """By name; models with "each" once for every combination of its values."""
    found = {}
    for name, model in models.items():
        for one in expanded({"name": name, **model}):
            own = one.pop("name")
            if own in found:
                raise StudyError(f"model {name!r}: there are two of the name {own!r}; its name "
                                 "needs each {NAME} that its values stand for")
            found[own] = one
    return found


def read_plan(path, settings):
    try:
        plan = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        raise StudyError(f"{path}: {problem}") from problem
    check_fields(plan, PLAN_FIELDS, path)
    for name in ("title", "out", "models", "tasks", "entries"):
        if name not in plan:
            raise StudyError(f"{path}: needs the field {name!r}")
    for number, entry in enumerate(plan["entries"], 1):
        check_fields(entry, ENTRY_FIELDS, f"entry {number}")
    plan = filled(plan, settings)
    plan["models"] = expanded_models(plan["models"])
    plan["entries"] = [one for entry in plan["entries"] for one in expanded(entry)]
    unset = re.search(r"\{(\w+)\}", json.dumps([plan["out"], plan["tasks"]]))
    if unset:
        raise StudyError(f"{path}: {{{unset[1]}}} has no value; give --set {unset[1]}=...")
    for entry in plan["entries"]:
        if entry["model"] not in plan["models"]:
            raise StudyError(f"{path}: {entry['label']}: there is no model {entry['model']!r}")
    return plan


# --- carrying it out ------------------------------------------------------------------------------


def tell(text):
    print(f"study: {text}", file=sys.stderr, flush=True)


def call(command, **options):
    """Runs a command that tells its own errors."""
    try:
        return subprocess.run([str(part) for part in command], check=True, **options)
    except FileNotFoundError as problem:
        raise StudyError(f"{command[0]}: not found") from problem
    except subprocess.CalledProcessError as problem:
        line = shlex.join(str(part) for part in command)
        raise StudyError(f"this ended with {problem.returncode}: {line}") from problem


def read_json(path):
    """None where there is no such file."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


class Study:
    def __init__(self, plan, program, jobs):
        self.plan = plan
        self.program = program
        self.jobs = jobs
        self.out = pathlib.Path(plan["out"])

    # Models: out/models/RUN is a training's folder, RUN.json what it was and how long it took. A
    # run is named as the model, or NAME-SEED where the model is trained with several seeds.

    def seeds_of(self, name):
        """[None] of a model that there is once."""
        model = self.plan["models"][name]
        shared = self.plan.get("seeds") if "from" in model else None
        return model.get("seeds", shared) or [None]

    def run_name(self, name, seed):
        return name if seed not in self.seeds_of(name) or seed is None else f"{name}-{seed}"

    def model_folder(self, name, seed=None):
        model = self.plan["models"][name]
        return pathlib.Path(model["folder"]) if "folder" in model else (
            self.out / "models" / self.run_name(name, seed) / "latest")

    def trained(self):
        """Name and seed of all that is trained. The first seeds of all models come first, so that a
        study that is ended early can be read."""
        runs = [(name, number, seed) for name, model in self.plan["models"].items()
                if "training" in model for number, seed in enumerate(self.seeds_of(name))]
        return [(name, seed) for name, _, seed in sorted(runs, key=lambda run: run[1])]

    def train(self, name, seed):
        model = self.plan["models"][name]
        run = self.run_name(name, seed)
        config = {**self.plan.get("training", {}), **model["training"],
                  "out": str(self.out / "models" / run)}
        if seed is not None:
            config["seed"] = seed
        if "from" in model:
            config["init"] = str(self.model_folder(model["from"], seed))
        done_path = self.out / "models" / f"{run}.json"
        done = read_json(done_path) or {"config": config, "seconds": 0, "finished": False}
        if done["config"] != config:
            raise StudyError(f"{done_path}: was trained by another plan; remove "
                             f"{self.out / 'models' / run}* to train it again")
        if done["finished"]:
            return
        config_path = self.out / "configs" / f"{run}.json"
        write(config_path, json.dumps(config, indent=2) + "\n")
        command = [self.program, "train", "--config", config_path, "--resume"]
        start = time.monotonic()
        try:
            if self.jobs == 1:
                call(command)
            else:  # lines of several at a time would be a muddle
                threads = max(1, len(os.sched_getaffinity(0)) // self.jobs)
                done_path.parent.mkdir(parents=True, exist_ok=True)
                with open(done_path.with_suffix(".log"), "ab") as log:
                    call([*command, "--threads", threads], stderr=log)
            done["finished"] = True
        finally:
            done["seconds"] += time.monotonic() - start
            write(done_path, json.dumps(done, indent=2) + "\n")

    def generation(self, name):
        """How many trainings a model comes after."""
        model = self.plan["models"][name]
        return 1 + self.generation(model["from"]) if "from" in model else 0

    def train_all(self):
        """Models that others start from come first; the same number of threads or not, a training
        makes the same weights."""
        runs = list(enumerate(self.trained(), 1))

        def train(numbered):
            number, (name, seed) = numbered
            tell(f"model {number} of {len(runs)}: {self.run_name(name, seed)}")
            self.train(name, seed)

        def generation(numbered):
            return self.generation(numbered[1][0])

        with concurrent.futures.ThreadPoolExecutor(self.jobs) as pool:
            for _, peers in itertools.groupby(sorted(runs, key=generation), generation):
                for done in [pool.submit(train, run) for run in peers]:
                    done.result()

    # Evaluations: out/results/RUN/FLAGS/TASK is a folder of `tidar eval`; command.json beside its
    # files shows whether the plan still wants what was done.

    def result_folder(self, entry, task, seed):
        flags = "_".join(str(flag).lstrip("-") for flag in entry.get("flags", []))
        run = self.run_name(entry["model"], seed)
        return pathlib.Path("results") / run / (flags or "default") / task

    def evaluate(self, entry, task, seed):
        folder = self.out / self.result_folder(entry, task["name"], seed)
        command = [self.program, "eval", "--model", self.model_folder(entry["model"], seed), "--task",
                   task["file"], *self.plan.get("always", []), *task.get("flags", []),
                   *entry.get("flags", []), "--out", folder]
        command = [str(part) for part in command]
        summary = read_json(folder / "summary.json")
        if summary and summary["done"] == summary["all"] and (
                read_json(folder / "command.json") == command):
            return
        tell(f"{entry['label']}: {task['name']}")
        call(command, stdout=subprocess.DEVNULL)
        write(folder / "command.json", json.dumps(command) + "\n")

    def evaluate_all(self):
        tasks = {task["name"]: task for task in self.plan["tasks"] if "file" in task}
        for number, entry in enumerate(self.plan["entries"], 1):
            if number % 10 == 0:
                tell(f"entry {number} of {len(self.plan['entries'])}")
            for name in entry["tasks"]:
                if name not in tasks:
                    raise StudyError(f"{entry['label']}: there is no task {name!r}")
                for seed in self.seeds_of(entry["model"]):
                    self.evaluate(entry, tasks[name], seed)

    # Latency: out/latency/N.json is what `tidar bench --json` printed.

    def latency_path(self, number):
        return pathlib.Path("latency") / f"{number}.json"

    def time_passes(self):
        for number, bench in enumerate(self.plan.get("latency", []), 1):
            path = self.out / self.latency_path(number)
            if path.exists():
                continue
            tell(f"latency: {bench['label']}")
            model = ["--model", self.model_folder(bench["model"])] if "model" in bench else []
            done = call([self.program, "bench", "--json", *model, *bench.get("flags", [])],
                        stdout=subprocess.PIPE)
            write(path, done.stdout.decode())

    # The report.

    def training_table(self):
        """What each training came to, as Markdown: means over its seeds."""
        sets = list(self.plan.get("training", {}).get("validation", {}))
        rows = []
        for name, model in self.plan["models"].items():
            if "training" not in model:
                continue
            runs = [self.run_name(name, seed) for seed in self.seeds_of(name)]
            done = [read_json(self.out / "models" / f"{run}.json") for run in runs]
            steps, losses = zip(*(last_of_log(self.out / "models" / run / "log.jsonl", sets)
                                  for run in runs))
            cells = [name, done[0]["config"]["objective"], str(len(runs)),
                     f"{mean([step['tokens'] for step in steps]) / 1e6:.1f} M",
                     f"{mean([run['seconds'] for run in done]) / 60:.0f} min"]
            for part in sets:
                for term in ("ar", "diffusion"):
                    told = [loss[part][term] for loss in losses if term in loss.get(part, {})]
                    cells.append(f"{mean(told):.3f}" if told else "")
            rows.append(cells)
        heading = ["model", "objective", "seeds", "tokens", "time"]
        for name in sets:
            heading += [f"AR loss, {name}", f"diffusion loss, {name}"]
        lines = [heading, ["---"] * len(heading), *rows]
        return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)

    def report(self):
        notes = ""
        if "notes" in self.plan:
            notes = pathlib.Path(self.plan["notes"]).read_text(encoding="utf-8")
        if any("training" in model for model in self.plan["models"].values()):
            notes += "\n## Training\n\n" + self.training_table() + "\n"
        write(self.out / "notes.md", notes)
        entries = []
        for entry in self.plan["entries"]:
            shown = {key: value for key, value in entry.items() if key not in DRIVING_FIELDS}
            # Further scores of an evaluation are tasks of their own there.
            evaluated = {task["name"]: task.get("of", task["name"]) for task in self.plan["tasks"]}
            shown["results"] = {
                name: [str(self.result_folder(entry, task, seed))
                       for seed in self.seeds_of(entry["model"])]
                for name, task in evaluated.items() if task in entry["tasks"]}
            entries.append(shown)
        tasks = [{key: task[key] for key in ("name", "label", "score")}
                 for task in self.plan["tasks"]]
        latency = [{"label": bench["label"], "bench": str(self.latency_path(number))}
                   for number, bench in enumerate(self.plan.get("latency", []), 1)]
        write(self.out / "study.json", json.dumps(
            {"title": self.plan["title"], "notes": "notes.md", "facts": facts(self.plan),
             "tasks": tasks, "entries": entries, "latency": latency},
            indent=1, ensure_ascii=False) + "\n")
        call([self.program, "report", self.out / "study.json", "--out", self.out / "report"])

    def publish(self):
        """Puts the report where the plan's marks are in a page of the documentation, one level
        deeper, and its figures into a folder named as the page."""
        page = pathlib.Path(self.plan["publish"])
        name = self.out.name
        figures = page.with_suffix("")
        for old in figures.glob(f"{name}-*.svg"):
            old.unlink()
        report = (self.out / "report" / "report.md").read_text(encoding="utf-8")
        report = re.sub(r"^#", "##", report, flags=re.MULTILINE)
        report = report.replace("](figures/", f"]({figures.name}/{name}-")
        for figure in (self.out / "report" / "figures").glob("*.svg"):
            write(figures / f"{name}-{figure.name}", figure.read_text(encoding="utf-8"))
        try:
            write(page, with_block(page.read_text(encoding="utf-8"), name, report.strip()))
        except (OSError, ValueError) as problem:
            raise StudyError(f"{page}: {problem}") from problem
        tell(f"{page} is written; the page is {self.out / 'report' / 'report.html'}")

    def carry_out(self):
        self.out.mkdir(parents=True, exist_ok=True)
        for command in self.plan.get("before", []):
            call(command)
        self.train_all()
        self.evaluate_all()
        self.time_passes()
        self.report()
        if "publish" in self.plan:
            self.publish()


def mean(values):
    return sum(values) / len(values)


def last_of_log(path, sets):
    """The last line of a training's log that counts tokens, and the last one that validates."""
    log = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    validated = [line for line in log if any(part in line for part in sets)]
    return [line for line in log if "tokens" in line][-1], validated[-1] if validated else {}


def facts(plan):
    text = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8")
    known = ("amx_bf16", "avx512_bf16", "avx512f", "avx2")
    best = next((flag for flag in known if re.search(rf"\b{flag}\b", text)), "plain x86-64")
    return [f"{processor()} with {best}, "
            f"{len(os.sched_getaffinity(0))} threads.",
            f"Flags of every evaluation: {' '.join(plan.get('always', [])) or 'none'}."]


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("plan", type=pathlib.Path)
    parser.add_argument("--program", type=pathlib.Path, default="build/release/tidar")
    parser.add_argument("--jobs", type=int, default=1, metavar="N",
                        help="trainings at a time, which share the threads: more work a second than "
                             "one after the other, but their times say less (default: 1)")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE",
                        help="what stands for {NAME} in the plan")
    options = parser.parse_args(arguments)
    wrong = [text for text in options.set if "=" not in text]
    if options.jobs < 1:
        parser.error("--jobs: at least 1")
    if wrong:
        parser.error(f"--set {wrong[0]}: expected NAME=VALUE")
    return options


def main():
    options = parse(sys.argv[1:])
    try:
        plan = read_plan(options.plan, dict(text.split("=", 1) for text in options.set))
        Study(plan, options.program, options.jobs).carry_out()
    except StudyError as problem:
        tell(problem)
        return 1
    except KeyboardInterrupt:
        tell("stopped; the same command goes on from here")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())

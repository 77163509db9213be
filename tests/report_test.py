#!/usr/bin/env python3
"""Reports from outside: `tidar report` on a study made here, sound, incomplete, wrong and hostile.

    python3 tests/report_test.py build/release/tidar
"""

import html.parser
import json
import re
import shutil
import struct
import unittest
import xml.etree.ElementTree as ElementTree
import zlib

from outside import Case, main, run

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = ("\"'><script>alert(1)</script><img src=http://a.example/x>|![i](http://b.example/y.png)"
           "[l](javascript:alert(2))`${}`]]>&amp;\u0001\uffff\n# heading")

TASKS = [{"name": "math", "label": "Word problems", "score": "strict"},
         {"name": "code", "label": "Functions", "score": "pass@1"},
         {"name": "plain", "label": "Plain text", "score": "perplexity"}]
EVERYWHERE = ["likelihood", "generation", "strategies", "masks", "trade-off", "trust", "histogram"]


class Page(html.parser.HTMLParser):
    """Elements, their attributes, and the text of table cells, row by row."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.rows, self.cell = [], [], None
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
            self.cell = True

    def handle_endtag(self, tag):
        if tag in ("td", "th"):
            self.cell = None

    def handle_data(self, data):
        if self.cell:
            self.rows[-1][-1] += data


def pixels_of_png(data):
    """(width, height) of a whole PNG: signature, chunks with right sums, an end."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n", data[:8]
    at, kinds = 8, []
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at:at + 8])
        body = data[at + 8:at + 8 + length]
        assert struct.unpack(">I", data[at + 8 + length:at + 12 + length])[0] == \
            zlib.crc32(kind + body)
        kinds.append(kind)
        at += 12 + length
    assert kinds[0] == b"IHDR" and kinds[-1] == b"IEND", kinds
    return struct.unpack(">II", data[16:24])


class ReportCase(Case):
    def summary(self, name, score, mean, per_pass=1.0, per_s=100.0, done=50, error=0.07):
        folder = self.folder / name
        folder.mkdir(parents=True)
        (folder / "summary.json").write_text(json.dumps({
            "done": done, "all": 50, "tokens_per_pass": per_pass, "tokens_per_s": per_s,
            "scores": {score: {"mean": mean, "standard_error": error, "count": done}},
            "perplexity": 7.125, "accepted": [0, 30, 10]}))
        return name

    def entry(self, label, role="other", math=0.5, code=0.25, per_pass=1.0, per_s=100.0,
              sections=("generation", "trade-off"), series="", **fields):
        name = f"results/{len(list(self.folder.glob('results/*')))}"
        return {"label": label, "series": series or label, "role": role, "in": list(sections),
                "results": {"math": self.summary(f"{name}/math", "strict", math, per_pass, per_s),
                            "code": self.summary(f"{name}/code", "pass@1", code, per_pass, per_s)},
                **fields}

    def study(self, label="TiDAR", **fields):
        """A study with something in every section."""
        tidar = self.entry(label, "tidar", 0.4321, 0.3123, 4.5, 300, EVERYWHERE, draft_length=8,
                           masking="full", alpha=1.0, trust_ar=1.0)
        tidar["results"]["plain"] = self.summary("results/plain", "nll", 1.96)
        (self.folder / "bench.json").write_text(json.dumps({"passes": [
            {"name": "prefill", "rows": 512, "median_ms": 77.7},
            {"name": "1", "rows": 1, "median_ms": 2.0},
            {"name": "16", "rows": 16, "median_ms": 3.0}]}))
        return {"title": "A study", "facts": ["One core."], "tasks": [dict(t) for t in TASKS],
                "entries": [self.entry("AR on", "baseline", 0.5, 0.25), tidar,
                            self.entry("Block 2", "block-diffusion", 0.3, 0.2, 2, 150,
                                       series="Blocks"),
                            self.entry("Block 6", "block-diffusion", 0.2, 0.1, 6, 400,
                                       series="Blocks")],
                "latency": [{"label": "Small", "bench": "bench.json"}], **fields}

    def write(self, study):
        path = self.folder / "study.json"
        path.write_text(json.dumps(study))
        return path

    def report(self, study, *flags, warns=""):
        code, out, err = run("report", self.write(study), "--out", self.out, *flags)
        self.assertEqual(code, 0, err)
        self.assertEqual(out.strip(), str(self.out / "report.html"))
        if warns:
            self.assertIn(warns, err)
        else:
            self.assertEqual(err, "")
        return ((self.out / "report.md").read_text(), (self.out / "report.html").read_text())

    def refuse_study(self, study, *parts):
        self.refuse(1, "report", self.write(study), "--out", self.out, "--no-png", holds=parts)
        self.assertFalse(self.out.exists())

    def figures(self):
        return sorted((self.out / "figures").glob("*.svg"))


def cells_of(markdown, heading, label):
    """The cells of the row that begins with the label, in the part of that heading."""
    part = markdown.split(f"## {heading}\n")[1].split("\n## ")[0]
    row = next(line for line in part.splitlines() if line.startswith(f"| {label} |"))
    return [cell.strip() for cell in row.strip("|").split("|")]


class Sound(ReportCase):
    def test_numbers_are_those_of_the_summaries(self):
        study = self.study()
        markdown, page = self.report(study, "--no-png")
        found = cells_of(markdown, "Generation", "TiDAR")
        for cell, task in zip(found[1:], ("math", "code")):
            path = self.folder / study["entries"][1]["results"][task] / "summary.json"
            summary = json.loads(path.read_text())
            score = next(iter(summary["scores"].values()))
            mean, error = 100 * score["mean"], 100 * score["standard_error"]
            per_pass = summary["tokens_per_pass"]
            self.assertEqual(cell, f"{mean:.1f} ± {error:.1f} ({per_pass:.2f})")
        self.assertEqual(cells_of(markdown, "Likelihood", "TiDAR")[1:], ["7.125 (1.00)"])
        self.assertEqual(cells_of(markdown, "Time of a pass", "16")[1:], ["3.00 (1.50)"])
        self.assertNotIn("77.7", markdown)
        # Between 2 and 6 tokens per pass: 25 % and 15 %, at 4.5 tokens.
        headline = markdown.split("\n## ")[0]
        self.assertIn("| -0.3 (-14.0 to +13.4) | 4.50 | – | 300 | 3.00 | 18.8 % (Blocks) |", headline)
        # The page says the same.
        rows = [row for row in Page(page).rows if row[0] == "TiDAR"]
        self.assertIn(found, rows)

    def test_the_page_needs_nothing_else(self):
        _, page = self.report(self.study(), "--no-png")
        parsed = Page(page)
        tags = [tag for tag, _ in parsed.elements]
        for tag in ("img", "link", "iframe", "object", "embed", "use", "image", "base"):
            self.assertNotIn(tag, tags)
        for tag, attributes in parsed.elements:
            self.assertNotIn("src", attributes, tag)
            self.assertFalse([name for name in attributes if name.startswith("on")])
        for text in (page, *(path.read_text() for path in self.figures())):
            addresses = set(re.findall(r"https?://[^\s\"'<]*", text))
            self.assertLessEqual(addresses, {"http://www.w3.org/2000/svg"})
            self.assertNotIn("@import", text)
            self.assertNotIn("url(", text)
        self.assertEqual(tags.count("svg"), len(self.figures()))
        self.assertEqual(tags.count("script"), 1)

    def test_every_figure_is_well_formed(self):
        markdown, _ = self.report(self.study(), "--no-png")
        names = re.findall(r"\]\(figures/([\w-]+)\.svg\)", markdown)
        self.assertEqual(sorted(names), sorted(path.stem for path in self.figures()))
        self.assertEqual(len(names), 8)
        for path in self.figures():
            root = ElementTree.parse(path).getroot()
            self.assertEqual(root.tag, SVG + "svg")
            marks = [group for group in root.iter(SVG + "g") if group.get("class") == "mark"]
            self.assertTrue(marks, path)
            for mark in marks:
                self.assertEqual(mark.find(SVG + "title").text, mark.get("data-tip"))

    @unittest.skipUnless(shutil.which("rsvg-convert"), "rsvg-convert is not installed")
    def test_pictures(self):
        self.report(self.study())
        for path in self.figures():
            width, height = pixels_of_png(path.with_suffix(".png").read_bytes())
            box = ElementTree.parse(path).getroot().get("viewBox").split()
            self.assertAlmostEqual(width, 2.5 * float(box[2]), delta=2)
            self.assertAlmostEqual(height, 2.5 * float(box[3]), delta=2)
        self.assertEqual(list(self.out.rglob("*.partial")), [])

    def test_without_the_converter_there_are_no_pictures_but_a_warning(self):
        path = self.write(self.study())
        code, _, err = run("report", path, "--out", self.out, env={"PATH": str(self.folder)})
        self.assertEqual(code, 0, err)
        self.assertIn("librsvg2-bin", err)
        self.assertEqual(list(self.out.rglob("*.png")), [])
        self.assertTrue((self.out / "report.html").exists())

    def test_notes_stand_behind_the_headline(self):
        (self.folder / "notes.md").write_text("*We* found <b>this</b>.\n")
        markdown, page = self.report(self.study(notes="notes.md"), "--no-png")
        self.assertLess(markdown.index("*We* found"), markdown.index("## Likelihood"))
        self.assertIn("<em>We</em> found &lt;b&gt;this&lt;/b&gt;.", page)

    def test_a_second_report_replaces_the_first(self):
        study = self.study()
        self.report(study, "--no-png")
        study["title"] = "Another"
        markdown, _ = self.report(study, "--no-png")
        self.assertTrue(markdown.startswith("# Another\n"))


class Incomplete(ReportCase):
    def test_a_missing_folder_is_a_dash_and_a_warning(self):
        study = self.study()
        study["entries"][1]["results"]["code"] = "nowhere"
        markdown, _ = self.report(study, "--no-png", warns="nowhere")
        found = cells_of(markdown, "Generation", "TiDAR")
        self.assertEqual((found[2], found[3]), ("–", "–"))
        self.assertTrue(found[1].startswith("43.2 "))

    def test_an_unfinished_run_is_marked(self):
        study = self.study()
        path = self.folder / study["entries"][1]["results"]["code"] / "summary.json"
        path.write_text(path.read_text().replace('"done": 50', '"done": 20'))
        markdown, _ = self.report(study, "--no-png")
        self.assertIn("31.2 ± 7.0 \\*", markdown)
        self.assertIn("TiDAR, Functions: 20 of 50", markdown)

    def test_nothing_but_a_title(self):
        markdown, _ = self.report({"title": "Empty"}, "--no-png")
        self.assertEqual(markdown.strip(), "# Empty")


class Wrong(ReportCase):
    def test_fields(self):
        for place, field, meant in (((), "entires", "entries"), (("tasks", 0), "nam", "name"),
                                    (("entries", 1), "draft_lenght", "draft_length"),
                                    (("latency", 0), "banch", "bench")):
            study = self.study()
            within = study
            for key in place:
                within = within[key]
            within[field] = 1
            self.refuse_study(study, "study.json", f"'{field}'", f"did you mean '{meant}'?")
            shutil.rmtree(self.folder / "results")

    def test_words(self):
        study = self.study()
        study["entries"][1]["in"].append("tradeoff")
        self.refuse_study(study, "entry 2", "'tradeoff'", "'trade-off'")
        study["entries"][1]["in"].pop()
        study["entries"][1]["role"] = "winner"
        self.refuse_study(study, "entry 2", "'winner'", "block-diffusion")

    def test_results(self):
        study = self.study()
        path = self.folder / study["entries"][0]["results"]["math"] / "summary.json"
        path.write_text('{"done": 1, "all": 1, "scores": {"flexible": {"mean": 1}}}')
        self.refuse_study(study, str(path), "'strict'", "flexible")
        path.write_text("{")
        self.refuse_study(study, str(path), "ends too early")

    def test_help_fits_the_terminal(self):
        code, out, _ = run("report", "--help")
        self.assertEqual(code, 0)
        self.assertLessEqual(max(map(len, out.splitlines())), 80)
        for part in ("study FILE", "--out DIR", "--no-png"):
            self.assertIn(part, out)

    def test_use(self):
        code, _, err = run("report")
        self.assertEqual(code, 2, err)
        code, _, err = run("report", self.folder / "none.json", "--out", self.out)
        self.assertEqual(code, 1)
        self.assertIn("none.json", err)


class Hostile(ReportCase):
    def test_labels_stay_text(self):
        study = self.study(label=HOSTILE, title=HOSTILE, facts=[HOSTILE])
        for task in study["tasks"]:
            task["label"] = HOSTILE
        for entry in study["entries"]:
            entry["label"] = entry["series"] = HOSTILE
        study["latency"][0]["label"] = HOSTILE
        markdown, page = self.report(study, "--no-png")
        parsed = Page(page)
        tags = [tag for tag, _ in parsed.elements]
        self.assertEqual(tags.count("script"), 1)
        for tag in ("img", "a"):
            self.assertNotIn(tag, tags)
        for _, attributes in parsed.elements:
            self.assertFalse([name for name in attributes if name.startswith("on")])
        # Cells hold the whole text, and what stands behind them stays in its column.
        shown = HOSTILE.replace("\u0001", " ").replace("\n", " ")
        rows = [row for row in parsed.rows if row[0].strip() == shown]
        self.assertIn("3.00 (1.50)", [row[1] for row in parsed.rows])
        self.assertTrue([row for row in rows if row[1:] == ["43.2 ± 7.0 (4.50)",
                                                            "31.2 ± 7.0 (4.50)",
                                                            "37.2 ± 4.9 (4.50)", "300"]])
        self.assertNotIn("\n# heading", markdown)
        for path in self.figures():
            root = ElementTree.parse(path).getroot()
            self.assertEqual({element.tag for element in root.iter()} - {
                SVG + tag for tag in ("svg", "g", "path", "rect", "text", "title")}, set())

    def test_notes_cannot_run_or_load_anything(self):
        (self.folder / "notes.md").write_text(
            "<script>alert(1)</script>\n\n![x](http://a.example/x.png)\n\n"
            "[l](javascript:alert(2)) <javascript:alert(3)> [ok](https://b.example/)\n")
        _, page = self.report(self.study(notes="notes.md"), "--no-png")
        parsed = Page(page)
        self.assertEqual([tag for tag, _ in parsed.elements].count("script"), 1)
        self.assertNotIn("a.example", page)
        targets = [attributes.get("href") for tag, attributes in parsed.elements if tag == "a"]
        self.assertEqual([target for target in targets if target], ["https://b.example/"])


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Chat templates through `tidar prompt`, beside what jinja2 (as transformers sets it up) and
@huggingface/jinja make of the same ones.

    python3 tests/prompt_test.py build/release/tidar

Both are optional. Where they differ from each other jinja2 is right, since models were trained with
what it made: @huggingface/jinja takes white space where lstrip('x') is told to take x, prints true
where Python prints True, sorts keys as a language does, and keeps what a loop sets until its next
round.
"""

import json
import random
import shutil
import subprocess
import unittest

from outside import NODE, ROOT, Case, load, main, run

TOKENIZERS = ROOT / "build/tokenizers"
TOKENS = {"bos_token": "<s>", "eos_token": {"content": "</s>", "special": True}}

# One line each: what @huggingface/jinja renders as jinja2 does.
SHARED = r"""
{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>' + '\n' }}{% endfor %}
{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}[INST] {{ m.content | trim }} [/INST]{% else %}{{ m.content }}{{ eos_token }}{% endif %}{% endfor %}
{%- set loop_messages = messages[1:] if messages[0].role == 'system' else messages %}{{ loop_messages | length }}
{% for m in messages %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.length }}{{ ',' if not loop.last }}{% endfor %}
{% for m in messages if m.role != 'system' %}{{ m.role }}{% else %}none{% endfor %}
{% for m in messages %}{% if loop.index > 2 %}{% break %}{% endif %}{% if m.role == 'user' %}{% continue %}{% endif %}{{ m.content }}{% endfor %}
{% macro turn(role, text='-', end=eos_token) %}<{{ role }}>{{ text }}{{ end }}{% endmacro %}{% for m in messages %}{{ turn(m.role, text=m.content) }}{{ turn(m.role) }}{% endfor %}
{% macro box() %}[{{ caller() }}]{% endmacro %}{% call box() %}{{ messages[0].content }}{% endcall %}
{% macro box() %}[{{ caller('x') }}]{% endmacro %}{% call(y) box() %}{{ y }}{{ messages[0].content }}{% endcall %}
{% set ns = namespace(found=false, n=0) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}{% if m.role == 'tool' %}{% set ns.found = true %}{% endif %}{% endfor %}{{ ns.n }}{{ 'yes' if ns.found else 'no' }}
{% set text %}a {{ messages[0].role }} b{% endset %}{{ text | upper }}
{% filter upper %}a{{ messages[0].role }}{% endfilter %}
{{ messages[-1].content.split('</think>')[-1] }}|{{ messages[-1]['content'].split() | join('+') }}|{{ messages[-1].content.split(' ', 1) | join('+') }}
{{ messages[0].content | replace('a', 'bb') }}{{ messages[0].content.replace('e', '') }}{{ messages[0].content.replace('e', 'EE', 1) }}
{% for m in messages %}{{ m.content.startswith('a') | int }}{{ m.content.endswith(('b', '.')) | int }}{{ ('the' in m.content) | int }}{% endfor %}
{{ messages | tojson }}
{{ messages | tojson(indent=2) }}
{{ tools | tojson(indent=4, ensure_ascii=true) }}
{{ messages[0] | tojson(separators=(',', ':')) }}
{% if tools %}{% for t in tools %}{{ t.function.name }}({% for k, v in t.function.parameters.items() %}{{ k }}={{ v | tojson }};{% endfor %}){% endfor %}{% endif %}
{% for k, v in tools[0].function.parameters | dictsort %}{{ k }}={{ v | tojson }};{% endfor %}
{{ messages | map(attribute='role') | join(', ') }}{{ messages | selectattr('role', 'equalto', 'user') | list | length }}{{ messages | rejectattr('role', 'equalto', 'user') | map(attribute='content') | join('#') }}
{{ 7 // 2 }} {{ 7 % 4 }} {{ 7 / 2 }} {{ 2 ** 5 }} {{ 1 + 2 * 3 - 4 }} {{ -3 + 1 }} {{ (1 + 2) * 3 }} {{ 1.5 + 1 }} {{ 3 * 0.5 }} {{ 10 ~ 'x' ~ 2 }}
{{ [1, 2, 3][::-1] | join }}{{ 'abcdef'[1:4] }}{{ 'abcdef'[::-2] }}{{ 'abcdef'[-2:] }}{{ [1, 2, 3][-1] }}{{ 'abc'[0] }}{{ [4, 5, 6][5:] | length }}
{% for i in range(3) %}{{ i }}{% endfor %}{% for i in range(5, 1, -2) %}{{ i }}{% endfor %}
{{ ['b', 'A', 'c'] | sort | join }}{{ [3, 1, 2] | sort(reverse=true) | join }}{{ ['a', 'b', 'a'] | unique | join }}{{ [1, 2] | first }}{{ [1, 2] | last }}{{ [1, 2, 3] | reverse | join }}
{{ 'one two' | title }}{{ 'one two' | capitalize }}{{ 'One' | lower }}{{ '  x ' | trim }}{{ 'a\nb\n\nc' | indent }}{{ 'a\nb' | indent(2, true) }}
{{ '3' | int + 1 }}{{ 'x' | int }}{{ '2.5' | float }}{{ -3 | abs }}{{ 3.7 | int }}{{ 5 | string }}
{% if messages[0].content is string %}s{% endif %}{% if messages is mapping %}m{% endif %}{% if messages[0] is mapping %}M{% endif %}{% if 3 is odd and 4 is even %}o{% endif %}{% if 3 is number %}n{% endif %}{% if messages is iterable %}i{% endif %}
{% generation %}{{ messages[-1].content }}{% endgeneration %}{%- generation -%} x {%- endgeneration %}
{{ raise_exception('no: ' + messages[0].role) }}
{% if messages[0].role == 'user' %}{{ raise_exception("a system message is needed") }}{% endif %}ok
a {%- if true -%} b {%- endif -%} c {{- 'd' -}} e {#- f -#} g {# h #} i
{{ "a\tb\\c\"d'e\u00e9\x41" }}{{ 'a' 'b' }}{{ '{{' }}{{ '%}' }}{{ {'a': {'b': 1}} | tojson }}
{{ messages.0.role }}{{ messages[0]['role'] }}{{ messages[loop_index | default(0)].role }}
{% set a, b = ['x', 'y'] %}{{ b ~ a }}{% set t = (1, 2) %}{{ t[1] }}{{ t | length }}
{% for m in messages %}{{ loop.previtem.role if loop.previtem is defined else '^' }}>{{ loop.nextitem.role if loop.nextitem is defined else '$' }} {% endfor %}
{{ 1 + 'a' | int + missing }}
{% for m in messages %}{{ m.content | upper | lower | trim }}{% endfor %}
{{ (messages | first).role }}{% if messages | length > 1 and (messages | last).role == 'user' %}u{% endif %}
""".strip().split("\n")

# What only jinja2 renders as Python has it.
PYTHON = r"""
{{ tools | tojson(indent=4, ensure_ascii=true, sort_keys=true) }}
{{ (1 < 2) | int }}{{ ('a' < 'b') | int }}{{ (1 == 1.0) | int }}{{ ('1' == 1) | int }}{{ (not 0) | int }}{{ ('' or 'x') }}{{ (1 and 'y') }}
{{ 'x' if missing is defined else 'y' }}{{ missing | default('z') }}{{ '' | default('e', true) }}{{ none is none }}{{ missing }}
{{ {'a': 1, 'b': [1, 2, {'c': none}]} | tojson }}{{ {'a': 'x'}.get('a') }}{{ {'a': 1}.get('b', 'no') }}{{ 'a' in {'a': 1} and 'b' not in {'a': 1} and 1 in [1, 2] }}
{{ messages[0].content | length }}{{ messages[0] | length }}{{ messages[0].missing is undefined }}
{{ missing.field }}
{{ true }}{{ none }}{{ [1, 'a', "it's", none, 2.0, {'k': (1,)}] }}{{ {'a': 'b\n\\"'} }}{{ 1e16 }}{{ 1e-5 }}{{ 0.1 + 0.2 }}{{ 100.0 }}
{{ '--x-'.strip('-') }}{{ 'xxay'.lstrip('x') }}{{ ' a\n'.rstrip('\n') }}|{{ messages[0].content.lstrip('\n').rstrip('e') }}
{% for i in [1, 2] %}{{ x }}{% set x = i %}{% endfor %}{{ x }}
{% set x = 0 %}{% for i in [1, 2] %}{% set x = i %}{% endfor %}{{ x }}
{% set x = 0 %}{% if true %}{% set x = 1 %}{% endif %}{{ x }}
{{ 1 < 2 < 3 }}{{ 3 > 2 > 2 }}{{ 1 == true }}{{ 'a' * 3 }}{{ [1] * 2 }}{{ -7 // 2 }}{{ -7 % 3 }}{{ 7.5 // 2 }}{{ 2 ** -1 }}
{{ messages[0].content[2] }}{{ messages[0].content[::-1] }}{{ messages[0].content | list | length }}{{ messages[0].content | reverse }}
{% for c in 'añ😀' %}[{{ c }}]{% endfor %}{{ 'añ😀' | length }}{{ 'ÀÉß' | lower }}{{ 'àé' | upper }}{{ "it's a-dog (x<y" | title }}{{ "it's a-dog" .title() }}
{{ [1, 2, 3, 4] | select('even') | list }}{{ ['a', 'B'] | map('upper') | join }}{{ [1, none, 0] | select | list }}{{ [3, 1] | reject('gt', 2) | list }}
{{ 6 is divisibleby 3 }}{{ 'a' is in ['a'] }}{{ 3 is sameas }}
{{ 6 is divisibleby 3 }}{{ 'a' is in ['a'] }}{{ 3 is eq 3 }}{{ 'abc' is lower }}{{ 'ABC' is upper }}{{ true is number }}{{ true is integer }}{{ 1.0 is float }}
{{ 'a,b,c'.split(',', 1) }}{{ 'a b'.splitlines() }}{{ 'a\nb\r\nc'.splitlines() }}{{ '+'.join(['a', 'b']) }}{{ 'banana'.count('an') }}{{ 'banana'.find('n') }}{{ 'abc'.removeprefix('a') }}
{{ dict(a=1, b='x') }}{{ {'b': 1, 'a': 2} | dictsort }}{{ {'b': 1, 'a': 2} | dictsort(by='value') }}{{ {'a': 1} | items | list }}{{ {'a': 1}.items() | list }}{{ {'items': 2}['items'] }}
{% macro m(a, b='d') %}{{ a }}{{ b }}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, 3, k=4) }}{{ m() }}
{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, 2) }}
{% set x = 1 %}{% macro m() %}{{ x }}{% endmacro %}{% set x = 2 %}{{ m() }}
{% for m in messages %}{{ loop.cycle('a', 'b') }}{% endfor %}{% for a, b in [(1, 2), (3, 4)] %}{{ a + b }}{% endfor %}{% for a in 1, 2 %}{{ a }}{% endfor %}
{{ missing ~ 'x' }}{{ missing | length }}{{ missing | trim }}{{ missing | list }}{% for x in missing %}{% endfor %}{{ missing == none }}{{ missing in [1] }}{{ 1 in missing }}{{ missing is iterable }}
{{ missing | tojson }}
{{ none + 1 }}
{{ 'a' + 1 }}
{{ 'a' < 1 }}
{{ messages | tojson(true) }}{{ [1, [2]] | tojson(indent=0) }}{{ [] | tojson(indent=2) }}{{ "é\x7f😀</script>'" | tojson }}{{ "é\x7f😀" | tojson(ensure_ascii=true) }}{{ 1.0 | tojson }}{{ 1e100 | tojson }}
{{ '\u00a0 x\x1c\u3000' | trim }}|{{ '\ufeffx' | trim }}|{{ 'a\x0bb\x85c' | indent(1) }}|{{ 'a\n' | indent }}|{{ 'x' | indent('> ', true) }}
{{ 1_000 + 2 }}{{ 1.5e3 }}{{ "\q\101" }}{{ 'a' 'b' ~ 1 }}{{ -2 | abs }}{{ - 2 ** 2 }}{{ 2 ** 3 ** 2 }}
{{ not true or true }}{{ not (1 in [2]) }}{{ 1 not in [2] }}{{ 1 if false }}{{ (1 if false) is undefined }}{{ 'a' if 0 else 'b' if 0 else 'c' }}
{{ ['a', 'B', 'c'] | sort(case_sensitive=true) }}{{ [{'n': 2}, {'n': 1}] | sort(attribute='n') }}{{ [{'n': {'m': 'z'}}] | map(attribute='n.m') | list }}{{ ['a', 'A'] | unique | list }}
{{ namespace(a=1).a }}{% set ns = namespace({'a': 2}) %}{% set ns.b = ns.a * 2 %}{{ ns.b }}{{ ns.missing is defined }}
{% filter trim | upper %} a {% endfilter %}{% set x | upper %}b{% endset %}{{ x }}
{{ [1, 2, 3][1:][0] }}{{ [1, 2, 3][:-1] }}{{ (1, 2)[::-1] }}{{ 'abc'[5] }}{{ [][0] is undefined }}{{ messages[0]['content'].missing is undefined }}
{% endif %}
{% if true %}
{{ 'a }}
{{ a b }}
{{ foo() }}
{{ messages[0].content() }}
{{ 'x' | nosuch }}
{{ 'x' is nosuch }}
{%+ if true +%} a {%+ endif +%}
{{ "  12  " | int }}{{ "1.9" | int }}{{ "x" | int(5) }}{{ 'inf' | float }}{{ 3 | float }}{{ true | int }}{{ 12345678901 * 1000 }}
""".strip().split("\n")
LINES = ["a\n  {% if true %}\n  b\n  {% endif %}\nc\n", "{% for m in messages %}\n{{ m.role }}\n{% endfor %}\n\n",
         "  {# x #}  \n  {#- y #}\nz", "a\r\n{% if true %}\r\nb\r{% endif %}\r\n", "\t{%- if true %}\n\n x{%+ endif %}\n",
         "x\n   {{ 'y' }}\n   {% set z = 1 %}   \nw", "{% if true -%}\n\n  a\n{%- endif %} \n b"]

WORDS = ["the", "a fox", "été", "日本語", "😀", "<|im_end|>", "<s>", "it's", '"quoted"', "back\\slash",
         "{{ x }}", "{% if %}", "\t", "line\nline", "1.5", "\u00a0", "&<>'", "."]
THOUGHTS = ["<think>", "</think>", "<tool_response>", "</tool_response>"]


def jinja2_renderer():
    """A function of (template, given) that renders as transformers does; None without jinja2."""
    try:
        import jinja2.ext
        import jinja2.sandbox
    except ImportError:
        return None

    class Generation(jinja2.ext.Extension):
        tags = {"generation"}

        def parse(self, parser):
            line = next(parser.stream).lineno
            body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
            return jinja2.nodes.CallBlock(self.call_method("inner"), [], [], body).set_lineno(line)

        def inner(self, caller):
            return caller()

    def to_json(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators,
                          sort_keys=sort_keys)

    def refuse(message):
        raise jinja2.exceptions.TemplateError(message)

    environment = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, "jinja2.ext.loopcontrols"])
    environment.filters["tojson"] = to_json
    environment.globals["raise_exception"] = refuse

    def render(template, given):
        try:
            return {"text": environment.from_string(template).render(**given)}
        except Exception as error:  # whatever a template can cause
            return {"error": str(error)}

    return render


def javascript_answers(pairs):
    data = json.dumps([{"template": template, "given": given} for template, given in pairs])
    done = subprocess.run(["node", ROOT / "tests/other_tokenizers/render.mjs", NODE],
                          input=data.encode(), capture_output=True, timeout=300, check=True)
    return json.loads(done.stdout)


class Conversations:
    """Random ones. `edges`: texts may begin and end with white space, and so may thoughts."""

    def __init__(self, rng, edges):
        self.rng, self.edges = rng, edges

    def text(self):
        parts = self.rng.choices(WORDS + THOUGHTS * self.edges, k=self.rng.randint(1, 6))
        text = self.rng.choice(["", " ", "\n"]).join(parts)
        return text if self.edges else f"x{text}x"

    def value(self, depth=0):
        kinds = [lambda: self.text(), lambda: self.rng.randint(-9, 9999), lambda: 0.5,
                 lambda: self.rng.choice([True, False, None])]
        if depth < 2:
            kinds += [lambda: {self.text(): self.value(depth + 1) for _ in range(2)},
                      lambda: [self.value(depth + 1) for _ in range(self.rng.randint(0, 3))]]
        return self.rng.choice(kinds)()

    def message(self, role):
        message = {"role": role, "content": self.text()}
        if role == "assistant" and self.rng.random() < 0.3:
            call = {"name": "f", "arguments": {"a": self.value(), "b": self.value()}}
            message["tool_calls"] = [{"type": "function", "function": call}]
        if role == "assistant" and self.rng.random() < 0.2:
            message["reasoning_content"] = self.text()
        return message

    def given(self):
        roles = ["system"] * (self.rng.random() < 0.5)
        for _ in range(self.rng.randint(1, 4)):
            roles += self.rng.choice([["user", "assistant"], ["user"], ["user", "assistant", "tool"]])
        tools = [{"type": "function", "function": {
            "name": f"f{n}", "description": self.text(),
            "parameters": {"x": self.value(), "B": self.value(), **({"items": 1} if self.edges else {})}}}
            for n in range(2)]
        return {"messages": [self.message(role) for role in roles],
                "tools": tools if self.rng.random() < 0.5 else None,
                "add_generation_prompt": self.rng.random() < 0.5, "date_string": "1 May 2025",
                **({"enable_thinking": False} if self.rng.random() < 0.3 else {})}


class Prompts(Case):
    def ours(self, template, given):
        model = self.folder / "model"
        model.mkdir(exist_ok=True)
        (model / "chat_template.jinja").write_bytes(template.encode())
        (model / "tokenizer_config.json").write_text(json.dumps(TOKENS))
        code, out, err = run("prompt", "--model", model, text=json.dumps(given))
        return {"text": out} if code == 0 else {"error": err}

    def real_templates(self):
        for name in ("qwen2.5", "qwen3", "llama3.2"):
            config = TOKENIZERS / name / "tokenizer_config.json"
            if config.exists():
                yield load(config)["chat_template"]

    def expect(self, template, given, theirs, seed=None):
        ours = self.ours(template, given)
        where = f"seed {seed}\n{template}\n{json.dumps(given)}"
        if "error" in theirs:
            self.assertIn("error", ours, f"{theirs}\n{where}")
        else:
            self.assertEqual(ours, theirs, where)

    def with_tokens(self, given):
        return {**given, "bos_token": "<s>", "eos_token": "</s>"}

    def test_as_jinja2(self):
        render = jinja2_renderer()
        if render is None:
            self.skipTest("python3-jinja2 is not installed")
        seed = random.randrange(1 << 32)
        conversations = Conversations(random.Random(seed), edges=True)
        for template in [*SHARED, *PYTHON, *LINES, *(list(self.real_templates()) * 40)]:
            given = conversations.given()
            with self.subTest(template=template[:60]):
                self.expect(template, given, render(template, self.with_tokens(given)), seed)

    @unittest.skipUnless(shutil.which("node"), "node is not installed")
    def test_as_the_javascript_library(self):
        if not (NODE / "node_modules/@huggingface/jinja").is_dir():
            self.skipTest(f"{NODE} has no jinja; scripts/fetch-node-tokenizers brings it")
        seed = random.randrange(1 << 32)
        conversations = Conversations(random.Random(seed), edges=False)
        pairs = [(template, conversations.given())
                 for template in [*SHARED, *LINES[:2], *(list(self.real_templates()) * 40)]]
        answers = javascript_answers([(t, self.with_tokens(given)) for t, given in pairs])
        for (template, given), theirs in zip(pairs, answers):
            with self.subTest(template=template[:60]):
                self.expect(template, given, theirs, seed)


if __name__ == "__main__":
    main()

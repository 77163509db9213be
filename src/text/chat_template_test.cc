#include "text/chat_template.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "format/files_testing.h"

namespace tidar {
namespace {

const OrderedJson kHello = {{{"role", "user"}, {"content", "hello"}}};

Result<MarkedText> render(std::string_view source, const OrderedJson& messages = kHello,
                          const ChatOptions& options = {}) {
  TIDAR_TRY(const ChatTemplate parsed, ChatTemplate::parse(source, {{"bos_token", "<bos>"}}));
  return parsed.render(messages, options);
}

std::string text_of(const Result<MarkedText>& prompt) {
  return prompt.ok() ? prompt->bytes() : "Error: " + prompt.error().message;
}

/// The user's parts of a prompt, between bars.
std::string user_parts(const Result<MarkedText>& prompt) {
  if (!prompt.ok()) return text_of(prompt);
  std::string parts;
  for (const Span& span : prompt->user()) {
    parts += "|" + prompt->bytes().substr(span.begin, span.size());
  }
  return parts + "|";
}

TEST(ChatTemplate, ErrorsSayTheLine) {
  for (const auto& [source, expected] : std::vector<std::pair<std::string, std::string>>{
           {"a\n{% if x %}", "line 2: the end of the template is not expected here"},
           {"{{ a b }}", "line 1: 'b' is not expected here; expected '}}'"},
           {"\n\n{{ 'x }}", "line 3: a text has no end"},
           {"{# x", "line 1: a comment has no end"},
           {"\n{% include 'x' %}", "line 2: the statement 'include' is not supported"},
           {"{% break %}", "line 1: 'break' stands outside of a loop"},
           {"\n{{ 'x' | no }}", "line 2: there is no filter 'no'"},
           {"\n{{ 'x' is no }}", "line 2: there is no test 'no'"},
           {"\n{{ no.x }}", "line 2: 'no' is not defined, so it has no 'x'"},
           {"{{ 1 // 0 }}", "line 1: '//' divides by 0"},
           {"{{ 'a' + 1 }}", "line 1: '+' does not take a text and a whole number"},
           {"{{ 9223372036854775807 + 1 }}", "line 1: a number is too large"},
           {"{% macro m() %}\n{{ 1 + none }}{% endmacro %}\n\n{{ m() }}", "line 2: '+' does not"},
           {"{{ a", "line 1: a tag has no end"},
           {std::string("{{ '") + '\xFF' + "' }}", "is not UTF-8"}}) {
    EXPECT_NE(text_of(render(source)).find(expected), std::string::npos) << source << "\n"
                                                                         << text_of(render(source));
  }
}

TEST(ChatTemplate, WhatATemplateRaisesIsSaidAsItIs) {
  EXPECT_EQ(text_of(render("\n{% if true %}{{ raise_exception('no ' ~ 1) }}{% endif %}")),
            "Error: the chat template: no 1");
}

TEST(ChatTemplate, MessagesMustBeAList) {
  EXPECT_EQ(text_of(render("", OrderedJson::object())), "Error: messages are not a list");
}

TEST(ChatTemplate, LimitsHold) {
  ChatOptions options;
  options.limits = {.steps = 500, .depth = 50, .bytes = 200'000};
  const auto holds = [&](const std::string& source, const std::string& expected) {
    const std::string found = text_of(render(source, kHello, options));
    EXPECT_NE(found.find(expected), std::string::npos) << source << "\n" << found;
  };
  const std::string loop = "{% for a in range(99) %}", end = "{% endfor %}";
  holds(loop + loop + end + end, "takes more than 500 steps");
  holds("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "goes more than 50 levels deep");
  holds("{{ 'x' * 1000000000000 }}", "makes more than 200000 bytes");
  holds("{{ range(10000000) }}", "makes more than 200000 bytes");
  holds("{% set n = namespace(s='xx') %}" + loop + "{% set n.s = n.s ~ n.s %}" + end,
        "makes more than 200000 bytes");
  holds("{% set s = 'x' * 5000 %}{{ s.replace('x', s) }}", "makes more than 200000 bytes");
  holds("{% set s = 'x' * 5000 %}{{ ('a\n' * 99) | indent(s) }}", "makes more than 200000 bytes");
  holds("{% set s = 'x' * 5000 %}{{ (['', ''] * 99) | join(s) }}", "makes more than 200000 bytes");
  holds("{% set s = 'x' * 5000 %}{{ (('a' * 99) | list) | join(s) }}", "more than 200000 bytes");
  holds("{% set n = namespace(l=[1]) %}{% for i in range(40) %}{% set n.l = [n.l, n.l] %}" + end +
            "{{ n.l | tojson }}",
        "more than 500 steps");
  EXPECT_NE(text_of(render("{{ " + std::string(200, '(') + "1" + std::string(200, ')') + " }}"))
                .find("more than 100 brackets"),
            std::string::npos);
  EXPECT_NE(text_of(render("{{ " + std::string(5000, '-') + "1 }}")).find("more than 100 brackets"),
            std::string::npos);
  std::string sum = "{{ 1";
  for (int i = 0; i < 100'000; ++i) sum += "+1";
  EXPECT_NE(text_of(render(sum + " }}")).find("goes more than 200 levels deep"), std::string::npos);
}

TEST(ChatTemplate, ACircleOfNamespacesIsLetGo) {
  EXPECT_EQ(text_of(render("{% set n = namespace() %}{% set n.n = n %}{{ n.n.n is defined }}")),
            "True");
}

TEST(ChatTemplate, DatesComeFromTheCaller) {
  const std::string source = "{{ strftime_now('%d %b %Y, %A %H:%M%%q%q') }}";
  ChatOptions options;
  std::tm time{};
  time.tm_year = 124;
  time.tm_mon = 6;
  time.tm_mday = 5;
  time.tm_wday = 5;
  time.tm_hour = 9;
  options.now = time;
  EXPECT_EQ(text_of(render(source, kHello, options)), "05 Jul 2024, Friday 09:00%q%q");
  EXPECT_EQ(text_of(render("{{ strftime_now is defined }}")), "False");
}

TEST(ChatTemplate, BrokenUtf8IsReplaced) {
  OrderedJson messages = kHello;
  messages[0]["content"] = "a\xFFz";
  EXPECT_EQ(text_of(render("{{ messages[0].content }}", messages)), "a\xEF\xBF\xBDz");
}

TEST(ChatTemplate, KnownRolesAreTheTemplatesText) {
  const std::string source = "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{% endfor %}";
  EXPECT_EQ(user_parts(render(source)), "|hello|");
  OrderedJson messages = kHello;
  messages[0]["role"] = "end";
  EXPECT_EQ(user_parts(render(source, messages)), "|end|hello|");
  // A role that is not the message's own is text like any other.
  messages[0] = {{"role", "user"}, {"content", "user"}};
  EXPECT_EQ(user_parts(render(source, messages)), "|user|");
}

TEST(ChatTemplate, ToolsAndVariablesAreTheUsers) {
  ChatOptions options;
  options.tools = {{{"name", "f"}, {"key", 1}}};
  options.variables = {{"x", "given"}};
  EXPECT_EQ(user_parts(render("{{ tools | tojson }}, {{ x }}", kHello, options)),
            "|name|f|key|given|");
  EXPECT_EQ(text_of(render("{{ tools | tojson }}, {{ x }}", kHello, options)),
            "[{\"name\": \"f\", \"key\": 1}], given");
}

// What operations make of a message stays the user's, and what the template adds does not become
// so: the user writes lower case, the template upper case, and both can be told apart afterwards.
TEST(ChatTemplate, OperationsKeepOrigins) {
  const std::vector<std::string> sources = {
      "A{{ u }}B",
      "{{ 'A' + u + 'B' ~ u }}",
      "{{ u[1:] }}{{ u[::-1] }}{{ u[0] }}{{ u | first }}{{ u | reverse }}",
      "{{ u | trim }}{{ u.strip('a') }}{{ ('A' ~ u).lstrip('A') }}",
      "{{ u.replace('b', 'BB') }}{{ u | replace('', '-') }}{{ 'AXA' | replace('X', u) }}",
      "{{ u.split('b') | join('+') }}{{ u.split() | join(u) }}{{ u.split('a', 1)[0] }}",
      "{{ ('A' * 3) | list | join(u) }}{{ u | list | join('A') }}{{ 'A'.join([u, u]) }}",
      "{{ u | indent(2, true) }}{{ u | indent('AA', true) }}{{ 'A\nB' | indent(u) }}",
      "{{ u | tojson }}{{ [u, 'A', {'K': u}] | tojson }}{{ {u: 'A'} | tojson(indent=1) }}",
      "{{ [u, 'A'] }}{{ {'K': u} }}{{ {u: 1} | dictsort }}",
      "{{ [u, 'A'] | sort | join }}{{ [u, 'A'] | unique | join }}{{ [u] | map('trim') | join }}",
      "{% set x %}A{{ u }}{% endset %}{{ x }}{{ x * 2 }}",
      "{% macro m(a) %}A{{ a }}{% endmacro %}{{ m(u) }}{{ [u, 'B'] | map('string') | join('A') }}",
      "{% filter trim %} A{{ u }} {% endfilter %}",
      "{% for c in u %}{{ c }}A{% endfor %}{{ u | string | default('A') }}",
      "{{ messages[0].items() | list | last | last }}{{ u.splitlines() | join('A') }}",
      "{{ u.removeprefix('a') }}{{ u.removesuffix('b') }}{{ u if u else 'A' }}",
      "{% set n = namespace(t=u) %}{% set n.t = n.t ~ 'A' %}{{ n.t }}"};
  std::mt19937 rng(std::random_device{}());
  for (int round = 0; round < 20; ++round) {
    std::string written = "ab";
    for (unsigned i = rng() % 12; i > 0; --i) written.push_back("abcdxyz"[rng() % 7]);
    const OrderedJson messages = {{{"role", "user"}, {"content", written}}};
    for (const std::string& source : sources) {
      const auto prompt = render("{% set u = messages[0].content %}" + source, messages);
      ASSERT_TRUE(prompt.ok()) << source << "\n" << prompt.error().message;
      for (size_t i = 0; i < prompt->size(); ++i) {
        const char c = prompt->bytes()[i];
        const bool lower = c >= 'a' && c <= 'z';
        EXPECT_EQ(prompt->origin(i) == Origin::user, lower) << source << "\n"
                                                            << prompt->bytes() << " at " << i;
      }
    }
  }
}

TEST(ChatTemplate, CaseKeepsOrigins) {
  EXPECT_EQ(user_parts(render("{{ ('a' ~ messages[0].content ~ 'b') | upper }}")), "|HELLO|");
  EXPECT_EQ(user_parts(render("{{ ('a ' ~ messages[0].content) | title }}")), "|Hello|");
  EXPECT_EQ(user_parts(render("{{ ('a' ~ messages[0].content).capitalize() }}")), "|hello|");
}

class Folders : public testing::Test {
 protected:
  void put(const std::string& name, const std::string& text) { folder_.put(name, text); }
  /// What the folder's template makes of "hello".
  std::string prompt(const ChatOptions& options = {}) {
    const auto opened = ChatTemplate::open(folder_.path());
    if (!opened.ok()) return "Error: " + opened.error().message;
    return opened->has_value() ? text_of((*opened)->render(kHello, options)) : "none";
  }
  ScratchFolder folder_;
};

TEST_F(Folders, NoTemplate) {
  EXPECT_EQ(prompt(), "none");
  put("tokenizer_config.json", R"({"bos_token": "<s>", "chat_template": null})");
  EXPECT_EQ(prompt(), "none");
}

TEST_F(Folders, TokensAsTextsAndAsObjects) {
  put("tokenizer_config.json",
      R"({"bos_token": "<s>", "eos_token": {"content": "</s>"}, "pad_token": null,
          "chat_template": "{{ bos_token }}{{ eos_token }}{{ pad_token }}."})");
  EXPECT_EQ(prompt(), "<s></s>.");
}

TEST_F(Folders, AFileOfItsOwnComesFirst) {
  put("tokenizer_config.json", R"({"bos_token": "<s>", "chat_template": "config"})");
  put("chat_template.jinja", "{{ bos_token }}file\n");
  EXPECT_EQ(prompt(), "<s>file");
}

TEST_F(Folders, ListsOfTemplates) {
  put("tokenizer_config.json", R"({"chat_template": [
      {"name": "default", "template": "usual"}, {"name": "rag", "template": "{% no %}"},
      {"name": "tool_use", "template": "with {{ tools | length }}"}]})");
  EXPECT_EQ(prompt(), "usual");
  ChatOptions options;
  options.tools = OrderedJson::array({1});
  EXPECT_EQ(prompt(options), "with 1");
}

TEST_F(Folders, Mistakes) {
  put("tokenizer_config.json", R"({"chat_template": [{"name": "rag", "template": "x"}]})");
  EXPECT_NE(prompt().find("no chat template has the name 'default'"), std::string::npos);
  put("tokenizer_config.json", R"({"chat_template": 3})");
  EXPECT_NE(prompt().find("expected a text or a list"), std::string::npos);
  put("chat_template.jinja", "{% if %}");
  EXPECT_NE(prompt().find("chat_template.jinja"), std::string::npos);
  EXPECT_NE(prompt().find("line 1"), std::string::npos);
}

}  // namespace
}  // namespace tidar

#include "serve/answering.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <utility>

namespace tidar {
namespace {

Refusal not_finite() { return {.status = 500, .message = std::string(kNoChoice)}; }

Refusal too_late(float timeout_s) {
  return {.status = 504,
          .message = fmt::format("the {} s that the request allows were over before its output "
                                 "began; allow more, or ask again when the server has less to do",
                                 timeout_s)};
}

bool finite(const std::vector<ListedToken>& listed) {
  return std::all_of(listed.begin(), listed.end(),
                     [](const ListedToken& token) { return std::isfinite(token.logprob); });
}

}  // namespace

void Answering::take(Reply reply) {
  if (ended_) return;
  if (auto* const planned = std::get_if<Planned>(&reply)) {
    form_ = std::move(planned->form);
    return begin(std::move(planned->outputs));
  }
  ended_ = true;
  if (const auto* const refusal = std::get_if<Refusal>(&reply)) return client_.refuse(*refusal);
  client_.answer(std::get<OrderedJson>(reply));
}

void Answering::give_up(const Refusal& refusal) {
  if (!ended_) fail(refusal);
}

void Answering::begin(PlannedOutputs planned) {
  usage_.prompt_tokens = planned.prompt_tokens;
  usage_.method = planned.method;
  usage_.equals_ar = planned.equals_ar;
  timeout_s_ = planned.timeout_s;
  client_.add_field("Tidar-Method", usage_.method);
  client_.add_field("Tidar-Equals-AR", usage_.equals_ar ? "true" : "false");
  outputs_.resize(planned.outputs.size());
  unfinished_ = outputs_.size();
  for (size_t i = 0; i < outputs_.size(); ++i) {
    PlannedOutput& plan = planned.outputs[i];
    plan.request.explain = form_.stream && form_.include_passes;
    if (timeout_s_) plan.request.deadline = deadline(*timeout_s_);
    Output& output = outputs_[i];
    output.since_tokens = since_request_;
    output.nothing_new = plan.nothing_new;
    output.counts_prompt = plan.counts_prompt;
    output.part.index = static_cast<int>(i);
    output.part.told = form_.told;
    output.part.text = std::move(plan.echo);
    if (plan.request.sequence.score_prompt) {
      output.part.tokens.push_back({.token = plan.request.sequence.prompt.front()});
    }
    const auto ticket = engine_.submit(std::move(plan.request),
                                       [this, &output](const Delivery& d) { take(output, d); });
    if (!ticket) {
      return fail(
          {.status = 429,
           .message = fmt::format("{} outputs are under way, of {} at most; try again later",
                                  engine_.under_way(), engine_.most())});
    }
    output.ticket = *ticket;
  }
}

// The body was read meanwhile.
Engine::Time Answering::deadline(float timeout_s) const {
  const std::chrono::duration<double> left(timeout_s - since_request_.seconds());
  return std::chrono::steady_clock::now() +
         std::chrono::duration_cast<std::chrono::steady_clock::duration>(left);
}

void Answering::take(Output& output, const Delivery& delivery) {
  if (ended_) return;
  if (delivery.refused) return fail({.message = delivery.refused->message});
  measure(output, delivery.update);
  add(output, delivery.update);
  if (ended_) return;
  if (form_.stream) {
    send_part(output);
    send_pass(output, delivery.update);
  }
  if (delivery.last()) finish_output();
}

void Answering::measure(Output& output, const Update& update) {
  if (update.tokens.empty()) return;
  const double seconds = output.since_tokens.lap();
  if (!std::exchange(output.begun, true)) {
    metrics_.first_token_s.add(seconds);
  } else {
    const auto tokens = static_cast<int64_t>(update.tokens.size());
    metrics_.inter_token_s.add(seconds / static_cast<double>(tokens), tokens);
  }
}

void Answering::add(Output& output, const Update& update) {
  if (update.finish == FinishReason::no_choice) return fail(not_finite());
  // Whoever scores a prompt must not take a part of it for all.
  const bool nothing = !output.begun && !streaming_;
  if (update.finish == FinishReason::deadline && nothing) return fail(too_late(*timeout_s_));
  ChoicePart& part = output.part;
  for (const Answer& score : update.scores) {
    if (!std::isfinite(score.logprob) || !finite(score.top)) return fail(not_finite());
    part.tokens.push_back({.token = score.token, .logprob = score.logprob, .top = score.top});
  }
  part.finish = update.finish;
  if (output.counts_prompt && update.totals) usage_.cached_tokens += update.totals->cached_tokens;
  if (output.nothing_new) {
    if (part.finish != FinishReason::none) part.finish = FinishReason::length;
    return;
  }
  usage_.add(update);
  part.text += update.text;
  if (!form_.told) return;
  for (size_t i = 0; i < update.tokens.size(); ++i) {
    const TokenLogprob& token = update.tokens[i];
    part.tokens.push_back({.token = token.token, .logprob = token.logprob});
    if (i < update.listed.size()) part.tokens.back().top = update.listed[i];
  }
}

void Answering::open_stream() {
  if (!std::exchange(streaming_, true)) client_.begin_stream();
}

// Behind the text that it brought. Whoever reads slowly is spared it: nothing depends on it.
void Answering::send_pass(const Output& output, const Update& update) {
  if (!update.explanation || client_.lags()) return;
  open_stream();
  client_.send_event(
      pass_event(form_.kind, form_.envelope,
                 pass_json(output.part.index, update, form_.rows, form_.mask_token, tokenizer_)));
}

void Answering::send_part(Output& output) {
  ChoicePart& part = output.part;
  const bool news = !part.tokens.empty() || !part.text.empty();
  if (part.finish == FinishReason::none && !news) return;
  open_stream();
  client_.send_event(
      event_of(chunk_json(form_.kind, form_.envelope, part, output.first, tokenizer_)));
  output.first = false;
  part.offset += characters(tokenizer_, part.tokens);
  part.text.clear();
  part.tokens.clear();
}

void Answering::finish_output() {
  if (--unfinished_ > 0) return;
  ended_ = true;
  metrics_.request_s.add(since_request_.seconds());
  if (form_.stream) {
    if (form_.include_usage) {
      client_.send_event(event_of(usage_chunk_json(form_.kind, form_.envelope, usage_)));
    }
    client_.send_event(std::string(kLastEvent));
    return client_.end_stream();
  }
  std::vector<ChoicePart> parts;
  for (Output& output : outputs_) parts.push_back(std::move(output.part));
  client_.answer(response_json(form_.kind, form_.envelope, parts, usage_, tokenizer_));
}

void Answering::fail(const Refusal& refusal) {
  ended_ = true;
  cancel();
  if (!streaming_) return client_.refuse(refusal);
  client_.send_event(event_of(to_json(refusal)));
  client_.end_stream();
}

void Answering::cancel() {
  for (const Output& output : outputs_) {
    if (output.ticket != 0) engine_.cancel(output.ticket);
  }
}

}  // namespace tidar

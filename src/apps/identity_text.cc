#include "apps/identity_text.h"

#include <fmt/format.h>

#include <filesystem>

#include "eval/fingerprint.h"

namespace tidar {

std::string text_of(const MethodFlags& method) {
  const auto number = [](const std::optional<float>& value) {
    return value ? fmt::format("{}", *value) : std::string("-");
  };
  const auto text = [](const std::string& value) { return value.empty() ? "-" : value; };
  return fmt::format(
      "{} mask {} draft {} trust {} groups {} guessed {} match {}-{} drafter {} block {} order {} "
      "per pass {} "
      "confidence {} entropy {} keys {} borders {} steps {} shift {}",
      method.name.empty() ? "default" : method.name, method.mask_token, method.draft_length,
      method.trust_ar, method.groups, method.guessed, method.lookup.least_matched,
      method.lookup.most_matched, text(method.draft_model), method.block_size, text(method.order),
      method.per_pass, number(method.confidence), number(method.entropy_bound),
      text(method.block_keys), text(method.block_borders), method.steps, method.shifted_logits);
}

std::string text_of(const Sampling& sampling) {
  return fmt::format("temperature {}, top-k {}, top-p {}, min-p {}, seed {}", sampling.temperature,
                     sampling.top_k, sampling.top_p, sampling.min_p, sampling.seed);
}

Result<std::string> computing_text(const Session& session) {
  std::string text = fmt::format("weights {}, products {}, keys {}", session.weights_text(),
                                 session.operands_text(), name_of(session.kv_type()));
  // What a GPU computes is not the same to the bit.
  if (session.gpu()) text += session.flags().backend.exact ? ", on a GPU, exact" : ", on a GPU";
  // A model's own adapter is among its files.
  if (const std::string& adapter = session.flags().adapter; !adapter.empty()) {
    TIDAR_TRY(const std::string tensors,
              fingerprint_of_file(std::filesystem::path(adapter) / "adapter_model.safetensors"));
    text += fmt::format(", adapter {} ({})", tensors, session.adapter_text());
  }
  return text;
}

}  // namespace tidar

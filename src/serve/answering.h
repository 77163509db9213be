#pragma once
// One API request under way: its outputs come from the engine, and become one answer or a stream.

#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/stopwatch.h"
#include "serve/api_response.h"
#include "serve/engine_thread.h"
#include "serve/metrics.h"
#include "serve/pass_event.h"
#include "serve/refusal.h"
#include "serve/served_model.h"

namespace tidar {

/// Who waits for an answer. One of: refuse(); answer(); answer_content(); begin_stream(), events
/// and end_stream(). Fields of its head are told before.
class Client {
 public:
  virtual ~Client() = default;
  virtual void add_field(std::string_view name, std::string_view value) = 0;
  virtual void refuse(const Refusal& refusal) = 0;
  virtual void answer(const OrderedJson& json) = 0;
  /// With something else than JSON; statuses 204 and 304 have no body, and no type.
  virtual void answer_content(int status, std::string_view type, std::string_view body) = 0;
  virtual void begin_stream() = 0;
  virtual void send_event(std::string event) = 0;
  virtual void end_stream() = 0;
  /// Whether much of what was sent still waits to be read: who can leave something out does.
  virtual bool lags() const = 0;
};

/// How an answer is written.
struct AnswerForm {
  ApiKind kind = ApiKind::completion;
  Envelope envelope;
  bool told = false;  ///< log-probabilities are wanted
  bool stream = false;
  bool include_usage = false;
  bool include_passes = false;
  RowsTold rows = RowsTold::no;  ///< of passes
  int32_t mask_token = -1;
};

/// What a request came to when its body had been read.
struct Planned {
  AnswerForm form;
  PlannedOutputs outputs;
};
using Reply = std::variant<Refusal, OrderedJson, Planned>;

/// Lives on the thread that owns the EngineThread. All that is passed must outlive it; to end it
/// early cancels what is under way.
class Answering {
 public:
  Answering(const Tokenizer& tokenizer, EngineThread& engine, Metrics& metrics, Client& client)
      : tokenizer_(tokenizer), engine_(engine), metrics_(metrics), client_(client) {}
  ~Answering() { cancel(); }
  Answering(const Answering&) = delete;
  Answering& operator=(const Answering&) = delete;

  /// Answers, or hands all outputs in: of these the client hears later, or at once that there is no
  /// room. To be called once.
  void take(Reply reply);

  /// Ends it with this in the place of what has not been sent, unless it has ended.
  void give_up(const Refusal& refusal);

  /// Whether this is still there, for whoever brings the reply later: expired when it has gone.
  std::weak_ptr<const void> life() const { return life_; }

  /// Of what has come so far.
  const Usage& usage() const { return usage_; }

 private:
  struct Output {
    Ticket ticket = 0;
    bool nothing_new = false;
    bool counts_prompt = false;
    bool first = true;       ///< nothing of it was sent yet
    bool begun = false;      ///< it has tokens
    Stopwatch since_tokens;  ///< since it had new ones last
    ChoicePart part;         ///< what was not sent yet
  };

  void begin(PlannedOutputs planned);
  Engine::Time deadline(float timeout_s) const;
  void take(Output& output, const Delivery& delivery);
  void add(Output& output, const Update& update);
  void measure(Output& output, const Update& update);
  void open_stream();
  void send_part(Output& output);
  void send_pass(const Output& output, const Update& update);
  void finish_output();
  void fail(const Refusal& refusal);
  void cancel();

  const std::shared_ptr<const void> life_ = std::make_shared<char>();  // shared with nobody
  AnswerForm form_;
  const Tokenizer& tokenizer_;
  EngineThread& engine_;
  Metrics& metrics_;
  Client& client_;
  std::vector<Output> outputs_;
  size_t unfinished_ = 0;
  Stopwatch since_request_;
  std::optional<float> timeout_s_;  // for all of it
  bool streaming_ = false;
  bool ended_ = false;  // nothing more is sent
  Usage usage_;
};

}  // namespace tidar

#include "serve/stream_client.h"

#include <boost/asio/ip/tcp.hpp>
#include <charconv>
#include <chrono>

#include "base/stopwatch.h"
#include "serve/refusal.h"

namespace tidar {
namespace {

using Stream = boost::asio::ip::tcp::iostream;

/// Nothing may take longer.
constexpr std::chrono::minutes kPatience{30};

/// A line without its end; false at the end of the stream.
bool next_line(Stream& stream, std::string& line) {
  if (!std::getline(stream, line)) return false;
  if (line.ends_with('\r')) line.pop_back();
  return true;
}

/// What an error object says; else all of the text.
std::string message_of(const std::string& text) {
  const Json json = Json::parse(text, nullptr, false);
  const Json::json_pointer path("/error/message");
  return json.contains(path) && json[path].is_string() ? json[path].get<std::string>() : text;
}

/// Reads status and fields of an answer; an Error of what it says where it is none that streams.
Result<void> read_start(Stream& stream, const ServerAddress& address) {
  std::string line;
  if (!next_line(stream, line)) {
    return error("{}:{} does not answer: {}", address.host, address.port, stream.error().message());
  }
  const std::string status = line;
  while (next_line(stream, line) && !line.empty()) {
  }
  if (status.find(" 200 ") != std::string::npos) return {};
  const std::string rest(std::istreambuf_iterator<char>(stream), {});
  return error("{}:{} refuses: {}", address.host, address.port, message_of(rest));
}

/// Reads one event of the stream; true: it was the last.
Result<bool> read_event(std::string_view data, double seconds, TimedStream& timed) {
  if (data == "[DONE]") return true;
  const Json event = Json::parse(data, nullptr, false);
  if (!event.is_object()) return error("expected events of JSON, found '{}'", data.substr(0, 80));
  if (event.contains("error")) return error("the stream ends: {}", message_of(std::string(data)));
  const Json::json_pointer text("/choices/0/text"), tokens("/usage/completion_tokens");
  if (event.contains(text) && event[text].is_string() &&
      !event[text].get_ref<const std::string&>().empty()) {
    timed.texts_s.push_back(seconds);
  }
  if (event.contains(tokens) && event[tokens].is_number_integer()) {
    timed.tokens = event[tokens].get<int64_t>();
  }
  return false;
}

}  // namespace

Result<ServerAddress> parse_server_url(std::string_view url) {
  constexpr std::string_view kScheme = "http://";
  const auto wrong = [&] { return error("expected http://HOST:PORT, found '{}'", url); };
  if (!url.starts_with(kScheme)) return wrong();
  std::string_view rest = url.substr(kScheme.size());
  if (rest.ends_with('/')) rest.remove_suffix(1);
  const size_t colon = rest.find(':');
  const std::string_view port = colon == std::string_view::npos ? "80" : rest.substr(colon + 1);
  uint16_t number = 0;
  const auto [end, code] = std::from_chars(port.data(), port.data() + port.size(), number);
  const bool whole = code == std::errc{} && end == port.data() + port.size();
  const std::string_view host = rest.substr(0, colon);
  if (!whole || host.empty() || host.find('/') != std::string_view::npos) return wrong();
  return ServerAddress{.host = std::string(host), .port = std::string(port)};
}

// HTTP/1.0: so the stream comes as it is, to the end of the connection.
Result<TimedStream> stream_completion(const ServerAddress& address, OrderedJson body) {
  body["stream"] = true;
  body["stream_options"] = {{"include_usage", true}};
  const std::string text = to_text(body);
  const Stopwatch watch;
  Stream stream;
  stream.expires_after(kPatience);
  stream.connect(address.host, address.port);
  stream << "POST /v1/completions HTTP/1.0\r\nContent-Length: " << text.size() << "\r\n";
  if (!address.api_key.empty()) stream << "Authorization: Bearer " << address.api_key << "\r\n";
  stream << "\r\n" << text << std::flush;
  TIDAR_TRY_VOID(read_start(stream, address));
  TimedStream timed;
  constexpr std::string_view kData = "data: ";
  for (std::string line; next_line(stream, line);) {
    if (!line.starts_with(kData)) continue;
    TIDAR_TRY(const bool last,
              read_event(std::string_view(line).substr(kData.size()), watch.seconds(), timed));
    if (!last) continue;
    timed.seconds = watch.seconds();
    return timed;
  }
  return error("{}:{}: the stream ended in the middle", address.host, address.port);
}

}  // namespace tidar

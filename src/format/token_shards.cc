#include "format/token_shards.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <fstream>
#include <string_view>
#include <utility>

namespace tidar {

static_assert(std::endian::native == std::endian::little, "token shards are little-endian");

namespace {

constexpr std::string_view kShardMagic = "tidartok";
constexpr uint32_t kPlainVersion = 1, kGivenVersion = 2;
constexpr size_t kAlignment = 8;
constexpr size_t kBuffered = size_t{1} << 20;
constexpr size_t kStretchBytes = 2 * sizeof(uint32_t);

struct Header {
  char magic[8];
  uint32_t version;
  uint32_t id_bytes;
  uint64_t vocabulary;
  uint64_t tokens;
  uint64_t documents;
};
static_assert(sizeof(Header) == 40);

/// With the magic.
Header begun(Header header) {
  std::memcpy(header.magic, kShardMagic.data(), kShardMagic.size());
  return header;
}

int64_t id_bytes_for(int64_t vocabulary) { return vocabulary <= 65536 ? 2 : 4; }

size_t padding_behind(size_t bytes) { return (kAlignment - bytes % kAlignment) % kAlignment; }

template <class T>
T load(const std::byte* from, int64_t index) {
  T value;
  std::memcpy(&value, from + index * static_cast<int64_t>(sizeof(T)), sizeof(T));
  return value;
}

template <class T>
T largest_of(const std::byte* ids, int64_t count) {
  T largest = 0;
  for (int64_t i = 0; i < count; ++i) largest = std::max(largest, load<T>(ids, i));
  return largest;
}

Result<void> check_header(const Header& header, const std::string& where) {
  if (std::string_view(header.magic, sizeof header.magic) != kShardMagic) {
    return error(
        "{}: is no token shard: expected it to begin with '{}'; tidar data tokens makes "
        "shards",
        where, kShardMagic);
  }
  if (header.version != kPlainVersion && header.version != kGivenVersion) {
    return error("{}: is a token shard of version {}; this program knows the versions {} and {}",
                 where, header.version, kPlainVersion, kGivenVersion);
  }
  if (header.id_bytes != 2 && header.id_bytes != 4) {
    return error("{}: has ids of {} bytes; expected 2 or 4", where, header.id_bytes);
  }
  const uint64_t largest = header.id_bytes == 2 ? 65536 : uint64_t{1} << 31;
  if (header.vocabulary < 1 || header.vocabulary > largest) {
    return error("{}: has a vocabulary of {}; expected 1 to {} with ids of {} bytes", where,
                 header.vocabulary, largest, header.id_bytes);
  }
  return {};
}

}  // namespace

bool is_token_shard(const std::filesystem::path& path) {
  std::string begin(kShardMagic.size(), '\0');
  std::ifstream file(path, std::ios::binary);
  return file.read(begin.data(), static_cast<std::streamsize>(begin.size())) &&
         begin == kShardMagic;
}

Result<TokenShard> TokenShard::parse(std::span<const std::byte> bytes, const std::string& where) {
  Header header;
  if (bytes.size() < sizeof header) {
    return error("{}: has {} bytes; a token shard begins with {} bytes of header", where,
                 bytes.size(), sizeof header);
  }
  std::memcpy(&header, bytes.data(), sizeof header);
  TIDAR_TRY_VOID(check_header(header, where));

  // Compared by division, so that no announced number is multiplied before it is known to fit.
  const size_t body = bytes.size() - sizeof header;
  const bool has_given = header.version == kGivenVersion;
  const size_t document_bytes =
      sizeof(uint64_t) + sizeof(uint32_t) + (has_given ? sizeof(uint64_t) : 0);
  const bool numbers_fit =
      header.tokens <= body / header.id_bytes && header.documents <= body / document_bytes;
  const size_t id_size = numbers_fit ? header.tokens * header.id_bytes : 0;
  const size_t expected =
      id_size + padding_behind(id_size) + (numbers_fit ? header.documents * document_bytes : 0);
  const bool whole =
      has_given ? expected <= body && (body - expected) % kStretchBytes == 0 : expected == body;
  if (!numbers_fit || !whole) {
    return error(
        "{}: announces {} tokens of {} bytes and {} documents, which does not fit its "
        "{} bytes; it is truncated or damaged: make it again",
        where, header.tokens, header.id_bytes, header.documents, bytes.size());
  }

  TokenShard shard;
  shard.where_ = where;
  shard.ids_ = bytes.data() + sizeof header;
  shard.ends_ = shard.ids_ + id_size + padding_behind(id_size);
  shard.prompts_ = shard.ends_ + header.documents * sizeof(uint64_t);
  if (has_given) {
    shard.given_ends_ = shard.prompts_ + header.documents * sizeof(uint32_t);
    shard.given_ = shard.given_ends_ + header.documents * sizeof(uint64_t);
    shard.stretches_ = static_cast<int64_t>((body - expected) / kStretchBytes);
  }
  shard.vocabulary_ = static_cast<int64_t>(header.vocabulary);
  shard.tokens_ = static_cast<int64_t>(header.tokens);
  shard.documents_ = static_cast<int64_t>(header.documents);
  shard.id_bytes_ = static_cast<int>(header.id_bytes);
  TIDAR_TRY_VOID(shard.check_documents());
  if (has_given) TIDAR_TRY_VOID(shard.check_given());
  return shard;
}

Result<void> TokenShard::check_documents() const {
  uint64_t begin = 0;
  for (int64_t i = 0; i < documents_; ++i) {
    const auto end = load<uint64_t>(ends_, i);
    if (end <= begin || end > static_cast<uint64_t>(tokens_)) {
      return error("{}: document {} ends at token {}; expected {} to {}; the shard is damaged",
                   where_, i, end, begin + 1, tokens_);
    }
    const auto prompt = load<uint32_t>(prompts_, i);
    if (prompt > end - begin) {
      return error(
          "{}: document {} has {} tokens, but {} of its first are said to be its prompt; "
          "the shard is damaged",
          where_, i, end - begin, prompt);
    }
    begin = end;
  }
  if (begin != static_cast<uint64_t>(tokens_)) {
    return error("{}: the documents end at token {}, but there are {}; the shard is damaged",
                 where_, begin, tokens_);
  }
  return {};
}

Result<void> TokenShard::check_given() const {
  uint64_t first = 0;
  for (int64_t i = 0; i < documents_; ++i) {
    const auto last = load<uint64_t>(given_ends_, i);
    if (last < first || last > static_cast<uint64_t>(stretches_)) {
      return error(
          "{}: the given stretches of document {} end with stretch {}; expected {} to {}; the "
          "shard "
          "is damaged",
          where_, i, last, first, stretches_);
    }
    int64_t behind = prompt_of(i);
    for (auto place = static_cast<int64_t>(first); place < static_cast<int64_t>(last); ++place) {
      const Range given = stretch(place);
      if (given.begin < behind || given.end <= given.begin || given.end > size_of(i)) {
        return error(
            "{}: of document {} the tokens {} to {} are said to be given; expected some between {} "
            "and {}; the shard is damaged",
            where_, i, given.begin, given.end, behind, size_of(i));
      }
      behind = given.end + 1;
    }
    first = last;
  }
  if (first == static_cast<uint64_t>(stretches_)) return {};
  return error("{}: {} given stretches belong to documents, but there are {}; the shard is damaged",
               where_, first, stretches_);
}

Range TokenShard::stretches_of(int64_t document) const {
  TIDAR_CHECK(document >= 0 && document < documents_);
  if (given_ends_ == nullptr) return {0, 0};
  const int64_t first =
      document == 0 ? 0 : static_cast<int64_t>(load<uint64_t>(given_ends_, document - 1));
  return {first, static_cast<int64_t>(load<uint64_t>(given_ends_, document))};
}

Range TokenShard::stretch(int64_t place) const {
  return {load<uint32_t>(given_, 2 * place), load<uint32_t>(given_, 2 * place + 1)};
}

std::vector<Range> TokenShard::given_of(int64_t document) const {
  const Range places = stretches_of(document);
  std::vector<Range> given;
  for (int64_t place = places.begin; place < places.end; ++place) given.push_back(stretch(place));
  return given;
}

int64_t TokenShard::end_of(int64_t document) const {
  TIDAR_CHECK(document >= 0 && document < documents_);
  return static_cast<int64_t>(load<uint64_t>(ends_, document));
}

int64_t TokenShard::prompt_of(int64_t document) const {
  TIDAR_CHECK(document >= 0 && document < documents_);
  return load<uint32_t>(prompts_, document);
}

uint32_t TokenShard::id_at(int64_t token) const {
  return id_bytes_ == 2 ? load<uint16_t>(ids_, token) : load<uint32_t>(ids_, token);
}

Error TokenShard::outside(int64_t document, int64_t position, uint32_t id) const {
  return error(
      "{}: document {} holds the id {} at position {}; expected ids below its "
      "vocabulary of {}; the shard is damaged",
      where_, document, id, position, vocabulary_);
}

Result<void> TokenShard::check_ids() const {
  const uint32_t largest =
      id_bytes_ == 2 ? largest_of<uint16_t>(ids_, tokens_) : largest_of<uint32_t>(ids_, tokens_);
  if (largest < vocabulary_) return {};
  for (int64_t document = 0; document < documents_; ++document) {
    for (int64_t i = begin_of(document); i < end_of(document); ++i) {
      if (id_at(i) >= vocabulary_) return outside(document, i - begin_of(document), id_at(i));
    }
  }
  return {};
}

Result<void> TokenShard::read(int64_t document, int64_t from, std::span<int32_t> ids) const {
  const auto count = static_cast<int64_t>(ids.size());
  TIDAR_CHECK(from >= 0 && from + count <= size_of(document));
  const int64_t begin = begin_of(document) + from;
  for (int64_t i = 0; i < count; ++i) {
    const uint32_t id = id_at(begin + i);
    if (id >= vocabulary_) return outside(document, from + i, id);
    ids[static_cast<size_t>(i)] = static_cast<int32_t>(id);
  }
  return {};
}

Result<TokenShardFile> TokenShardFile::open(const std::filesystem::path& path) {
  TIDAR_TRY(MappedFile file, MappedFile::open(path));
  TIDAR_TRY(TokenShard shard, TokenShard::parse(file.bytes(), path.string()));
  TIDAR_TRY_VOID(shard.check_ids());
  return TokenShardFile(std::move(file), std::move(shard));
}

TokenShardWriter::TokenShardWriter(FileWriter file, int64_t vocabulary)
    : file_(std::move(file)),
      vocabulary_(vocabulary),
      id_bytes_(static_cast<int>(id_bytes_for(vocabulary))) {}

Result<TokenShardWriter> TokenShardWriter::create(const std::filesystem::path& path,
                                                  int64_t vocabulary) {
  TIDAR_CHECK(vocabulary >= 1 && vocabulary <= int64_t{1} << 31);
  TIDAR_TRY(FileWriter file, FileWriter::create(path));
  const Header none{};  // finish() writes the real one
  TIDAR_TRY_VOID(file.append(std::as_bytes(std::span(&none, 1))));
  return TokenShardWriter(std::move(file), vocabulary);
}

Result<void> TokenShardWriter::add(std::span<const int32_t> ids, int64_t prompt,
                                   std::span<const Range> given) {
  TIDAR_CHECK(!ids.empty());
  TIDAR_CHECK(prompt >= 0 && prompt <= static_cast<int64_t>(ids.size()));
  TIDAR_CHECK_LE(std::ssize(ids), int64_t{UINT32_MAX});
  for (const int32_t id : ids) {
    TIDAR_CHECK(id >= 0 && id < vocabulary_);
    const auto* bytes = reinterpret_cast<const std::byte*>(&id);  // little-endian: the low ones
    buffer_.insert(buffer_.end(), bytes, bytes + id_bytes_);
  }
  tokens_ += static_cast<int64_t>(ids.size());
  ends_.push_back(static_cast<uint64_t>(tokens_));
  prompts_.push_back(static_cast<uint32_t>(prompt));
  int64_t behind = prompt;
  for (const Range& stretch : given) {
    TIDAR_CHECK(stretch.begin >= behind && stretch.end > stretch.begin);
    TIDAR_CHECK_LE(stretch.end, std::ssize(ids));
    given_.insert(given_.end(),
                  {static_cast<uint32_t>(stretch.begin), static_cast<uint32_t>(stretch.end)});
    behind = stretch.end + 1;
  }
  given_ends_.push_back(given_.size() / 2);
  return buffer_.size() < kBuffered ? Result<void>() : flush();
}

Result<void> TokenShardWriter::flush() {
  TIDAR_TRY_VOID(file_.append(buffer_));
  buffer_.clear();
  return {};
}

Result<void> TokenShardWriter::finish() {
  TIDAR_TRY_VOID(flush());
  const std::byte zeros[kAlignment]{};
  TIDAR_TRY_VOID(file_.append({zeros, padding_behind(file_.written())}));
  TIDAR_TRY_VOID(file_.append(std::as_bytes(std::span(ends_))));
  TIDAR_TRY_VOID(file_.append(std::as_bytes(std::span(prompts_))));
  if (!given_.empty()) {
    TIDAR_TRY_VOID(file_.append(std::as_bytes(std::span(given_ends_))));
    TIDAR_TRY_VOID(file_.append(std::as_bytes(std::span(given_))));
  }
  const Header header = begun({.magic = {},
                               .version = given_.empty() ? kPlainVersion : kGivenVersion,
                               .id_bytes = static_cast<uint32_t>(id_bytes_),
                               .vocabulary = static_cast<uint64_t>(vocabulary_),
                               .tokens = static_cast<uint64_t>(tokens_),
                               .documents = ends_.size()});
  TIDAR_TRY_VOID(file_.overwrite(0, std::as_bytes(std::span(&header, 1))));
  return file_.commit();
}

int64_t TokenShardWriter::bytes() const {
  const size_t head =
      sizeof(Header) + static_cast<size_t>(tokens_) * static_cast<size_t>(id_bytes_);
  const size_t given =
      given_.empty() ? 0 : ends_.size() * sizeof(uint64_t) + given_.size() * sizeof(uint32_t);
  return static_cast<int64_t>(head + padding_behind(head) +
                              ends_.size() * (sizeof(uint64_t) + sizeof(uint32_t)) + given);
}

}  // namespace tidar

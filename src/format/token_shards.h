#pragma once
// Token shards: the documents of a corpus as token ids on disk, memory-mapped for training.
//
// All numbers are little-endian. A shard is
//   magic      : "tidartok"
//   version    : u32            1, or 2 where a document has given tokens behind its prompt
//   id_bytes   : u32            2 or 4
//   vocabulary : u64            every id is below it; at most 65536 with 2-byte ids, else 2^31
//   tokens     : u64            N
//   documents  : u64            M
//   ids        : N of id_bytes  the tokens of all documents, one after another
//   padding    : zero bytes up to a multiple of 8
//   ends       : M of u64       document d is ids[ends[d - 1], ends[d]); the last end is N
//   prompts    : M of u32       how many of a document's first tokens are its prompt
// and nothing behind, or in version 2
//   given_ends : M of u64       document d has given[given_ends[d - 1], given_ends[d])
//   given      : of two u32     tokens [from, to) of their document, counted from its beginning,
//                               that are given as well: those of users between the answers of a
//                               conversation. Not empty, behind the prompt, ascending and apart
// and nothing behind. Documents hold at least one token.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/threads.h"
#include "format/files.h"

namespace tidar {

/// Whether the file begins as one does.
bool is_token_shard(const std::filesystem::path& path);

/// A view of a shard that is in memory; does not own. Immutable: any number of threads may read.
/// Documents and places that are asked for must exist.
class TokenShard {
 public:
  /// Checks everything but the ids (check_ids() does): magic, version, that the tables fit the size
  /// to the byte, and that the borders of documents increase. Allocates nothing. `where` names the
  /// shard in errors.
  static Result<TokenShard> parse(std::span<const std::byte> bytes, const std::string& where);

  /// Its name in errors.
  const std::string& where() const { return where_; }
  int64_t vocabulary() const { return vocabulary_; }
  int64_t tokens() const { return tokens_; }
  int64_t documents() const { return documents_; }
  /// Bytes of one id: 2 or 4.
  int id_bytes() const { return id_bytes_; }

  /// Where the tokens of a document begin in the shard, how many there are, and how many of its
  /// first are its prompt.
  int64_t begin_of(int64_t document) const { return document == 0 ? 0 : end_of(document - 1); }
  int64_t size_of(int64_t document) const { return end_of(document) - begin_of(document); }
  int64_t prompt_of(int64_t document) const;
  /// The stretches of it that are given behind its prompt.
  std::vector<Range> given_of(int64_t document) const;

  /// An Error when an id is not below the vocabulary; it names document and position. Reads the
  /// whole shard once, at the speed of the disk.
  Result<void> check_ids() const;

  /// Copies the tokens [from, from + ids.size()) of a document. An Error when one of them is not
  /// below the shard's vocabulary; it names document and position.
  Result<void> read(int64_t document, int64_t from, std::span<int32_t> ids) const;

 private:
  TokenShard() = default;
  int64_t end_of(int64_t document) const;
  uint32_t id_at(int64_t token) const;
  Error outside(int64_t document, int64_t position, uint32_t id) const;
  Result<void> check_documents() const;
  Result<void> check_given() const;
  /// Those of a document, by their places in the table.
  Range stretches_of(int64_t document) const;
  Range stretch(int64_t place) const;

  std::string where_;
  const std::byte* ids_ = nullptr;
  const std::byte* ends_ = nullptr;
  const std::byte* prompts_ = nullptr;
  const std::byte* given_ends_ = nullptr;  ///< nullptr: nothing is given but prompts
  const std::byte* given_ = nullptr;
  int64_t stretches_ = 0;
  int64_t vocabulary_ = 0;
  int64_t tokens_ = 0;
  int64_t documents_ = 0;
  int id_bytes_ = 2;
};

/// A shard and the file that it is a view of.
class TokenShardFile {
 public:
  /// What parse() and check_ids() say of the file, and the Errors of the disk.
  static Result<TokenShardFile> open(const std::filesystem::path& path);

  const TokenShard& shard() const { return shard_; }

 private:
  TokenShardFile(MappedFile file, TokenShard shard)
      : file_(std::move(file)), shard_(std::move(shard)) {}

  MappedFile file_;
  TokenShard shard_;
};

/// Writes a shard document by document; the file appears whole at finish() or not at all. Keeps 20
/// bytes a document in memory, and 8 a stretch that is given. After an Error it takes no more.
class TokenShardWriter {
 public:
  /// `vocabulary` is 1 to 2^31.
  static Result<TokenShardWriter> create(const std::filesystem::path& path, int64_t vocabulary);

  /// Adds a document of at least one token, all below the vocabulary, the first `prompt` of them
  /// its prompt, and what else is given, as given_of() tells it.
  Result<void> add(std::span<const int32_t> ids, int64_t prompt = 0,
                   std::span<const Range> given = {});
  Result<void> finish();

  int64_t tokens() const { return tokens_; }
  int64_t documents() const { return static_cast<int64_t>(ends_.size()); }
  /// Bytes of the shard, if it ended here.
  int64_t bytes() const;

 private:
  TokenShardWriter(FileWriter file, int64_t vocabulary);
  Result<void> flush();

  FileWriter file_;
  int64_t vocabulary_;
  int id_bytes_;
  int64_t tokens_ = 0;
  std::vector<std::byte> buffer_;
  std::vector<uint64_t> ends_;
  std::vector<uint32_t> prompts_;
  std::vector<uint64_t> given_ends_;
  std::vector<uint32_t> given_;  ///< from and to of each stretch
};

}  // namespace tidar

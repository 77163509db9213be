#pragma once
// How pieces of documents share the packs that training reads.

#include <cstdint>
#include <vector>

namespace tidar {

/// A stretch of one document within a pack.
struct Piece {
  int32_t first = 0;     ///< index of its first token in TokenPack::tokens
  int32_t rows = 0;      ///< its tokens; at least 2
  int32_t next = -1;     ///< the token that follows the last one in the document; -1 at its end
  int32_t prompt = 0;    ///< how many of its first tokens belong to the document's prompt
  int32_t shard = 0;     ///< where it comes from, counted in the order of the paths
  int64_t document = 0;  ///< in the shard
  int64_t from = 0;      ///< index of its first token in the document
};

/// What becomes of room that is left in a pack when no whole piece fits into it.
enum class Packing : uint8_t {
  whole,   ///< it stays: a document is cut only where it is longer than a pack
  filled,  ///< a document goes on in another pack: its beginning fills the room. Pieces with a
           ///< prompt are not cut, for an answer without its question is another text, and room of
           ///< less than a thirty-second of a pack stays, for so short a text teaches little
};

/// Spreads pieces of at most `rows` tokens over packs of as many at most, so that there are few:
/// the longest first, each into the first pack that has room; and then, if asked for, fills packs
/// with parts of pieces of the emptiest ones. Fills Piece::first; next is the caller's.
std::vector<std::vector<Piece>> pack_pieces(std::vector<Piece> pieces, int32_t rows,
                                            Packing packing);

}  // namespace tidar

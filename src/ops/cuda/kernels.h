#pragma once
// What the backend for GPUs has carried out: one function a kernel, or a few of them. Each queues
// its work on a stream and returns; the pointers are to memory of the device, and must be good
// until the work is done. Shapes have been checked by the caller (cuda_ops.cc); what a verb means
// stands in ops/ops.h.
//
// The functions are defined in the .cu files, which two compilers read: nvcc for devices, and g++
// for the CPU (host/dialect.h). A program links one of the two. So nothing of CUDA is named here.
//
// R rows, N outputs, K inputs, H heads, G heads of keys and values, E the size of a head.

#include <cstdint>

#include "base/sampling.h"

namespace tidar::cuda {

/// Where work is queued. What the handle is, launch() and the device (device.h) know.
struct Stream {
  void* handle = nullptr;
};

/// The bits of a bf16, without the constructors of BFloat16: shared memory holds it as it is.
struct Bf16 {
  uint16_t bits;
};

enum class Element : uint8_t { f32, bf16 };

/// Rows of a matrix in the device's memory, `stride` elements apart, with no alignment but that of
/// an element.
struct View {
  void* data = nullptr;
  Element type = Element::f32;
  int64_t rows = 0;
  int64_t cols = 0;
  int64_t stride = 0;

  template <class T>
  constexpr T* row(int64_t r) const {
    return static_cast<T*>(data) + r * stride;
  }
};

/// A weight [N, K]: rows of `stride` elements, of which those behind K are 0, so that every row
/// begins at a multiple of kWeightAlignment bytes.
struct WeightView {
  const void* data = nullptr;
  Element type = Element::f32;
  int64_t outputs = 0;
  int64_t inputs = 0;
  int64_t stride = 0;

  template <class T>
  constexpr const T* row(int64_t n) const {
    return static_cast<const T*>(data) + n * stride;
  }
};
inline constexpr int64_t kWeightAlignment = 16;

inline constexpr int kPageKeys = 64;   ///< of a page of the store: kPageSlots (cache/pages.h)
inline constexpr int kMostHead = 128;  ///< largest size of a head

/// Keys and values of a store, each [page][G][key of the page][E]: the pages of layer 0, of layer
/// 1, …, and then those of rows that are kept nowhere, which all layers share.
struct KvView {
  void* keys = nullptr;
  void* values = nullptr;
  Element type = Element::f32;
  int layers = 0;
  int kv_heads = 0;
  int head_size = 0;
  int pages = 0;  ///< of each layer

  /// Of the first element of a head. Slots from pages · kPageKeys on are of rows kept nowhere.
  constexpr int64_t offset(int layer, int64_t slot, int head) const {
    const int64_t page = slot / kPageKeys;
    const int64_t place =
        (page < pages ? int64_t{layer} * pages : int64_t{layers - 1} * pages) + page;
    return ((place * kv_heads + head) * kPageKeys + slot % kPageKeys) * head_size;
  }
};

// ---- rows.cu ----

/// out[r] = table[tokens[r]]; out [R, K] f32.
void embed(Stream stream, const int32_t* tokens, const WeightView& table, const View& out);

/// out[i] = x[rows[i]]; both f32.
void gather(Stream stream, const View& x, const int32_t* rows, const View& out);

/// out[rows[i]] += scale * x[i]; both f32, no row twice.
void scatter_add(Stream stream, const View& x, const int32_t* rows, float scale, const View& out);

/// out = x / sqrt(mean(x²) + eps) * weight, for each of `heads` vectors of a row. x f32; out f32 or
/// bf16, may be x.
void rms_norm(Stream stream, const View& x, const float* weight, float eps, int heads,
              const View& out);

/// cos and sin of the angle of pair i at position p: [positions, half].
struct Angles {
  const float* cosines = nullptr;
  const float* sines = nullptr;
  int half = 0;  // E/2
};

/// Rotates elements i and i + E/2 of each of `heads` vectors of row r by the angle of positions[r],
/// in place. x f32.
void rope(Stream stream, const View& x, int heads, const int32_t* positions, const Angles& angles);

// ---- heads.cu ----

/// Heads of a matrix that are worked on in place.
struct HeadsPart {
  View x;  ///< [R, heads · E] f32
  int heads = 0;
  const float* norm = nullptr;  ///< [E]; nullptr: none
  float eps = 0;
  bool rotates = false;
  Angles angles{};
};

/// rms_norm() of each head where there is a norm, then rope() where they rotate, of q and k; then
/// store_kv().
struct HeadsCall {
  HeadsPart q, k;  ///< q may have no heads
  View v;
  const int32_t* positions = nullptr;
  const int32_t* slots = nullptr;
  KvView kv;
  int layer = 0;
};
void finish_heads(Stream stream, const HeadsCall& call);

// ---- linear.cu ----

enum class Epilogue : uint8_t {
  store,   ///< out = x W^T + bias; out f32
  add,     ///< out += x W^T; out f32
  swiglu,  ///< out = silu(x Wg^T) * (x Wu^T), outputs in pairs; out f32 or bf16
};

/// x [R, K] of the weight's type.
struct Product {
  View x;
  WeightView weight;
  Epilogue epilogue = Epilogue::store;
  const float* bias = nullptr;  ///< [N], with `store`; nullptr: none
  View out;
};

/// Rows for which a weight is read once.
inline constexpr int kFewRows = 64;
/// Rows up to which nothing is faster than multiply_few_mma().
inline constexpr int kFewestRows = 8;
/// For any number of rows; reads the weight once for every kFewRows of them. A row's result does
/// not depend on the others, or on how many they are.
void multiply_few(Stream stream, const Product& product);
/// The same on tensor cores, for weights of bf16. How they round sums is their own business.
void multiply_few_mma(Stream stream, const Product& product);
/// For many rows: tiles of 64 rows and 64 outputs.
void multiply_many(Stream stream, const Product& product);

/// Where the products of gate and up stand in a row: by turns, or all of the one before the other.
enum class GateUp : uint8_t { alternating, side_by_side };
/// What Epilogue::swiglu makes of products that stand somewhere already: `sums` [R, 2 N] f32; out
/// [R, N] f32 or bf16.
void swiglu(Stream stream, const View& sums, GateUp order, const View& out);
/// out[r] = bias for every row; out [R, N] f32.
void spread(Stream stream, const float* bias, const View& out);

// ---- kv.cu ----

/// Keeps row r of k and v, [R, G · E] f32, in slot slots[r], rounded to the store's type.
void store_kv(Stream stream, const View& k, const View& v, const int32_t* slots, const KvView& kv,
              int layer);

/// SlotMove (cache/pages.h).
struct Move {
  int32_t from = 0;
  int32_t to = 0;
};
/// In every layer, bit by bit. No slot is moved to twice, or from and to.
void move_kv(Stream stream, const Move* moves, int64_t count, const KvView& kv);

// ---- attend.cu ----

/// Keys [from, to) of one sequence, for rows of it that stand one behind another: what one block
/// attends to. All of them are in the rows' prefixes, or all in their blocks.
struct KeyPart {
  int32_t first_row = 0;
  int32_t rows = 0;
  int32_t from = 0;
  int32_t to = 0;
  int32_t first_tile = 0;  ///< key with which the tile begins that holds `from`
  int32_t is_block = 0;    ///< 1: of blocks
  int32_t first_page = 0;  ///< where the sequence's pages begin in AttendCall::pages
  int32_t paged = 0;  ///< keys from this on are of rows kept nowhere: key k in slot scratch + k
  int32_t scratch = 0;
  int32_t partial = 0;  ///< index of the first row's partial result; the other rows' follow
  /// A key of the part that lies elsewhere, and where; -1: there is none (attend_plan.h).
  int32_t stand_in = -1;
  int32_t stand_in_slot = 0;
};

/// A row's partial results: first, first + step, …, in the order of their keys.
struct RowParts {
  int32_t first = 0;
  int32_t step = 0;
  int32_t count = 0;
};

struct AttendCall {
  View q;  ///< [R, H · E] f32
  KvView kv;
  int layer = 0;
  int group = 1;                    ///< H / G
  float scale = 1;                  ///< 1 / sqrt(E)
  const int32_t* sights = nullptr;  ///< [R, 4]: prefix from, to, block from, to
  const int32_t* pages = nullptr;
  const KeyPart* parts = nullptr;
  int64_t part_count = 0;
  int most_rows = 0;                    ///< of a part
  const RowParts* row_parts = nullptr;  ///< [R]
  /// [partials, H, E + 2]: largest score, sum of weights, and average times that.
  float* partials = nullptr;
  View out;                  ///< [R, H · E] f32 or bf16
  bool tensor_cores = true;  ///< may be used

  constexpr float* partial(int64_t index, int head) const {
    return partials + (index * kv.kv_heads * group + head) * (kv.head_size + 2);
  }
};
void attend(Stream stream, const AttendCall& call);

// ---- attend_mma.cu, for attend() ----

/// Whether the store is one for tensor cores.
bool can_attend_mma(const AttendCall& call);
/// Writes the parts' partial results.
void attend_parts_mma(Stream stream, const AttendCall& call);

// ---- logits.cu ----

/// Which logits are asked: `trust` of `row` and the rest of `other_row`, if that is >= 0; and how
/// they are changed before one is chosen.
struct LogitQuestion {
  int32_t row = 0;
  int32_t other_row = -1;
  float trust = 1;
  int32_t token = -1;                     ///< that is scored; -1: none
  int32_t first_change = 0, changes = 0;  ///< of a list; each token once
};

/// A token, -1: none; its logit, and what changes have made of that.
struct BestLogit {
  float changed;
  float logit;
  int32_t token;
};

/// What a row of logits x comes to. Sums are of logits as they are.
struct LogitFacts {
  double sum;       ///< of exp(x - largest)
  double weighted;  ///< of exp(x - largest) · (x - largest)
  float largest;
  float scored;             ///< of LogitQuestion::token
  int32_t is_odd;           ///< 1: one of them is no number, or +infinity
  int32_t choice_is_odd;    ///< the same of changed ones
  BestLogit first, second;  ///< after changes, the largest two; the lower id first on ties
};

/// How many parts a row is worked on in.
int64_t logit_parts(int64_t vocabulary);
/// For each of `count` questions to logits [rows, V] f32: rows[i]. `parts` is room for `count`
/// times logit_parts(V); `changes` is the list that questions name.
void find_facts(Stream stream, const View& logits, const LogitQuestion* questions, int64_t count,
                const LogitChange* changes, LogitFacts* parts, LogitFacts* rows);

}  // namespace tidar::cuda

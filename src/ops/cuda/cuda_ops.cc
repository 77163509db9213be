#include "ops/cuda/cuda_ops.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/buffer.h"
#include "base/check.h"
#include "ops/checks.h"
#include "ops/cuda/attend_plan.h"
#include "ops/cuda/logit_answers.h"
#include "ops/cuda/pending_heads.h"
#include "ops/host_matrix.h"
#include "ops/host_ops.h"
#include "ops/ref/ref_ops.h"

namespace tidar::cuda {

namespace {

Element element_of(DType dtype) {
  TIDAR_CHECK(dtype == DType::f32 || dtype == DType::bf16);
  return dtype == DType::bf16 ? Element::bf16 : Element::f32;
}

View view(Matrix x) { return {x.data, element_of(x.dtype), x.rows, x.cols, x.stride}; }

Lines lines_of(Matrix x) {
  const auto element = static_cast<int64_t>(size_of(x.dtype));
  return {x.data, x.rows, x.cols * element, x.stride * element};
}

Lines line_of(const void* data, int64_t bytes) {
  return {static_cast<std::byte*>(const_cast<void*>(data)), 1, bytes, bytes};
}

// Numbers on the device that the host has given.
class Numbers {
 public:
  Numbers() = default;
  template <class T>
  Numbers(Device& device, const std::vector<T>& numbers)
      : memory_(device.allocate(static_cast<int64_t>(numbers.size() * sizeof(T)))) {
    if (!numbers.empty()) device.write(line_of(numbers.data(), bytes()), whole());
  }
  int64_t bytes() const { return memory_->bytes; }
  const float* floats() const { return reinterpret_cast<const float*>(memory_->data); }

 private:
  Lines whole() const { return line_of(memory_->data, bytes()); }
  std::unique_ptr<Memory> memory_;
};

// Memory that is written anew for each use, and grows to twice the largest: it should seldom move,
// since what is recorded of passes names it. Work that was queued before has its use of it first,
// since the stream keeps the order.
class Scratch {
 public:
  explicit Scratch(Device& device) : device_(device) {}
  std::byte* at_least(int64_t bytes) {
    if (memory_ == nullptr || memory_->bytes < bytes) {
      memory_.reset();
      memory_ = device_.allocate(2 * bytes);
    }
    return memory_->data;
  }
  /// The elements on the device, until the next use.
  template <class T>
  const T* put(std::span<const T> elements) {
    const auto bytes = static_cast<int64_t>(elements.size_bytes());
    std::byte* const to = at_least(bytes);
    if (bytes > 0) device_.write(line_of(elements.data(), bytes), line_of(to, bytes));
    return reinterpret_cast<const T*>(to);
  }
  int64_t bytes() const { return memory_ == nullptr ? 0 : memory_->bytes; }

 private:
  Device& device_;
  std::unique_ptr<Memory> memory_;
};

// Indices of rows on the device. A pass names the same ones in every layer, and they are written
// there once: writing ends what is recorded of launches (launch_queue.h).
class RowList {
 public:
  explicit RowList(Device& device) : memory_(device) {}
  /// Until the next use.
  const int32_t* put(std::span<const int32_t> rows) {
    if (on_device_ == nullptr || !std::ranges::equal(rows, rows_)) {
      rows_.assign(rows.begin(), rows.end());
      on_device_ = memory_.put(rows);
    }
    return on_device_;
  }
  int64_t bytes() const { return memory_.bytes(); }

 private:
  Scratch memory_;
  std::vector<int32_t> rows_;
  const int32_t* on_device_ = nullptr;
};

struct DeviceWeight final : PackedWeight {
  std::unique_ptr<Memory> memory;
  WeightView view;
};

struct DeviceVector final : PackedVector {
  Numbers values;
};

struct DeviceRope final : RopeTable {
  Numbers cosines, sines;
};

struct DeviceStore final : KvStore {
  std::unique_ptr<Memory> keys, values;
  KvView view;
};

// All that kernels read of a pass lies in one block of memory and is copied at once.
struct DevicePass final : HostPass {
  explicit DevicePass(Device& device) : memory(device) {}
  Scratch memory;
  AttendPlan plan;
  const int32_t* device_tokens = nullptr;
  const int32_t* device_positions = nullptr;
  const int32_t* slots = nullptr;
  const int32_t* sights = nullptr;
  const int32_t* pages = nullptr;
  const KeyPart* parts = nullptr;
  const RowParts* row_parts = nullptr;

  void upload();

 private:
  static constexpr size_t kRoundedParts = 16;
};

// Lists of 32-bit integers, or of structs of them, one behind another.
class IntegerList {
 public:
  template <class T>
  size_t add(const std::vector<T>& list) {
    static_assert(sizeof(T) % sizeof(int32_t) == 0);
    const size_t begin = integers_.size();
    const auto* const integers = reinterpret_cast<const int32_t*>(list.data());
    integers_.insert(integers_.end(), integers,
                     integers + list.size() * sizeof(T) / sizeof(int32_t));
    return begin;
  }
  std::span<const int32_t> all() const { return integers_; }

 private:
  std::vector<int32_t> integers_;
};

// Lists whose length follows from the number of rows come first, then parts, of which there are
// some that are empty, then pages: so where a list begins changes seldom, and what is queued for
// one step is what was queued for the one before (ops/cuda/launch_queue.h).
void DevicePass::upload() {
  IntegerList list;
  const size_t at_tokens = list.add(tokens), at_positions = list.add(positions);
  const size_t at_slots = list.add(plan.slots), at_sights = list.add(plan.sights);
  const size_t at_row_parts = list.add(plan.row_parts);
  plan.parts.resize((plan.parts.size() + kRoundedParts - 1) / kRoundedParts * kRoundedParts);
  const size_t at_parts = list.add(plan.parts), at_pages = list.add(plan.pages);
  const int32_t* const first = memory.put(list.all());
  device_tokens = first + at_tokens;
  device_positions = first + at_positions;
  slots = first + at_slots;
  sights = first + at_sights;
  pages = first + at_pages;
  parts = reinterpret_cast<const KeyPart*>(first + at_parts);
  row_parts = reinterpret_cast<const RowParts*>(first + at_row_parts);
}

// What was made by this backend, as it is.
const DeviceWeight& own(const PackedWeight& weight) {
  return static_cast<const DeviceWeight&>(weight);
}
const DeviceVector& own(const PackedVector& vector) {
  return static_cast<const DeviceVector&>(vector);
}
const DeviceStore& own(const KvStore& kv) { return static_cast<const DeviceStore&>(kv); }
const DevicePass& own(const PreparedPass& pass) { return static_cast<const DevicePass&>(pass); }

// A row of a part in the weight's type: out [K].
void read_weights(const HostMatrix& part, int64_t row, float* out) { read_row(part, row, out); }
void read_weights(const HostMatrix& part, int64_t row, BFloat16* out) {
  std::vector<float> numbers(static_cast<size_t>(part.cols));
  read_row(part, row, numbers.data());
  for (size_t k = 0; k < numbers.size(); ++k) out[k] = BFloat16(numbers[k]);
}

template <class T>
constexpr DType kDType = sizeof(T) == sizeof(float) ? DType::f32 : DType::bf16;

// Where a library may read rows of bf16.
bool is_aligned(const View& x) {
  constexpr int64_t kElements = kWeightAlignment / int64_t{sizeof(BFloat16)};
  return x.stride % kElements == 0 &&
         reinterpret_cast<uintptr_t>(x.data) % static_cast<uintptr_t>(kWeightAlignment) == 0;
}

class KernelOps final : public CudaOps {
 public:
  KernelOps(Device& device, const CudaOptions& options)
      : device_(device),
        options_(options),
        reference_(make_ref_ops(DType::f32)),
        indices_(device),
        moves_(device),
        partials_(device),
        sums_(device),
        questions_(device),
        changes_(device),
        facts_(device) {
    device_.before_release = [this] { settle(); };
  }
  ~KernelOps() override { device_.before_release = nullptr; }

  std::string_view name() const override { return device_.name(); }
  DType activation() const override { return DType::f32; }
  DType operand(WeightFormat weight) const override {
    return facts_of(weight).plain.value_or(DType::f32);
  }
  bool supports_kv(DType dtype) const override {
    return dtype == DType::f32 || dtype == DType::bf16;
  }
  int64_t scratch_bytes() const override {
    return indices_.bytes() + moves_.bytes() + partials_.bytes() + sums_.bytes() +
           questions_.bytes() + changes_.bytes() + facts_.bytes();
  }

  std::unique_ptr<Memory> allocate(int64_t bytes) override { return device_.allocate(bytes); }
  void read(Matrix from, Matrix host) override {
    check_copy(from, host);
    settle();
    if (from.rows * from.cols > 0) device_.read(lines_of(from), lines_of(host));
  }
  void write(Matrix host, Matrix to) override {
    check_copy(host, to);
    settle();
    if (host.rows * host.cols > 0) device_.write(lines_of(host), lines_of(to));
  }
  void copy(Matrix from, Matrix to) override {
    check_copy(from, to);
    settle();
    if (from.rows * from.cols > 0) device_.copy(lines_of(from), lines_of(to));
  }
  void clear(Matrix x) override {
    settle();
    if (x.rows * x.cols > 0) device_.clear(lines_of(x));
  }

  std::unique_ptr<PackedWeight> pack(PackOrder order, std::span<const HostMatrix> parts,
                                     WeightFormat format) override;
  std::unique_ptr<PackedVector> pack_vector(std::span<const HostMatrix> parts) override;
  std::unique_ptr<RopeTable> make_rope(std::span<const double> frequencies, double factor,
                                       int64_t positions) override;
  std::unique_ptr<KvStore> make_kv(const KvShape& shape) override;
  void prepare(const Pass& pass, const KvStore* kv,
               std::unique_ptr<PreparedPass>& prepared) override;

  void embed(const PreparedPass& pass, const PackedWeight& table, Matrix out) override {
    check_embed(*this, host(pass).tokens, table, out);
    settle();
    cuda::embed(stream(), own(pass).device_tokens, own(table).view, view(out));
  }
  void gather(Matrix x, std::span<const int32_t> rows, Matrix out) override {
    check_gather(*this, x, rows, out);
    settle();
    cuda::gather(stream(), view(x), indices_.put(rows), view(out));
  }
  void scatter_add(Matrix x, std::span<const int32_t> rows, double scale, Matrix out) override {
    check_scatter_add(*this, x, rows, out);
    settle();
    cuda::scatter_add(stream(), view(x), indices_.put(rows), static_cast<float>(scale), view(out));
  }
  void rms_norm(Matrix x, const PackedVector& weight, double eps, int heads, Matrix out) override {
    check_rms_norm(*this, x, weight, heads, out);
    if (heads > 1 && out.data == x.data &&
        heads_.take_norm(view(x), heads, own(weight).values.floats(), static_cast<float>(eps))) {
      return;
    }
    settle();
    cuda::rms_norm(stream(), view(x), own(weight).values.floats(), static_cast<float>(eps), heads,
                   view(out));
  }
  void linear(Matrix x, const PackedWeight& weight, const PackedVector* bias, Matrix out) override {
    check_linear(*this, x, weight, bias, out);
    multiply({view(x), own(weight).view, Epilogue::store,
              bias == nullptr ? nullptr : own(*bias).values.floats(), view(out)});
  }
  void linear_add(Matrix x, const PackedWeight& weight, Matrix out) override {
    check_linear(*this, x, weight, nullptr, out);
    multiply({view(x), own(weight).view, Epilogue::add, nullptr, view(out)});
  }
  void linear_swiglu(Matrix x, const PackedWeight& gate_up, Matrix out) override {
    check_linear_swiglu(*this, x, gate_up, out);
    multiply({view(x), own(gate_up).view, Epilogue::swiglu, nullptr, view(out)});
  }
  void swiglu(Matrix gate_up, Matrix out) override {
    check_swiglu(*this, gate_up, out);
    settle();
    cuda::swiglu(stream(), view(gate_up), GateUp::side_by_side, view(out));
  }
  void rope(Matrix x, int heads, const PreparedPass& pass, const RopeTable& table) override {
    check_rope(*this, x, heads, host(pass).positions, table);
    const auto& angles = static_cast<const DeviceRope&>(table);
    const Angles own_angles = {angles.cosines.floats(), angles.sines.floats(), angles.half};
    const int32_t* const positions = own(pass).device_positions;
    if (heads_.take_rotation(view(x), heads, positions, own_angles)) return;
    settle();
    cuda::rope(stream(), view(x), heads, positions, own_angles);
  }
  void store_kv(Matrix k, Matrix v, const PreparedPass& pass, KvStore& kv, int layer) override {
    check_store_kv(*this, k, v, pass, kv, layer);
    if (auto call = heads_.take_store(view(k), own(pass).device_positions)) {
      call->v = view(v);
      call->slots = own(pass).slots;
      call->kv = own(kv).view;
      call->layer = layer;
      finish_heads(stream(), *call);
      return;
    }
    settle();
    cuda::store_kv(stream(), view(k), view(v), own(pass).slots, own(kv).view, layer);
  }
  void move_kv(std::span<const SlotMove> moves, KvStore& kv) override;
  void attend(Matrix q, const PreparedPass& pass, const KvStore& kv, int layer,
              Matrix out) override;
  void read_logits(Matrix logits, const Asks& asks, std::span<Answer> answers) override;

 private:
  Stream stream() { return device_.stream(); }
  template <class T>
  void write_rows(std::span<const HostMatrix> parts, PackOrder order, const DeviceWeight& weight);
  void multiply(const Product& product);
  void multiply_by_library(const Product& product);
  int part_keys(const Pass& pass, const KvShape& shape) const;
  // Carries out what waits in heads_.
  void settle();
  std::vector<LogitFacts> look_at(Matrix logits, const Asks& asks);

  Device& device_;
  const CudaOptions options_;
  std::unique_ptr<Ops> reference_;  // for what the host does: small tables, answers
  PendingHeads heads_;
  RowList indices_;
  Scratch moves_, partials_, sums_, questions_, changes_, facts_;
};

void KernelOps::settle() {
  for (const PendingHeads::Verb& verb : heads_.take_all()) {
    const HeadsPart& part = verb.part;
    if (part.norm != nullptr) {
      cuda::rms_norm(stream(), part.x, part.norm, part.eps, part.heads, part.x);
    }
    if (part.rotates) cuda::rope(stream(), part.x, part.heads, verb.positions, part.angles);
  }
}

// Without exact_rows, whatever is fastest.
void KernelOps::multiply(const Product& product) {
  settle();
  const bool on_tensor_cores = product.weight.type == Element::bf16 && options_.tensor_cores;
  const int64_t rows = product.x.rows;
  if (on_tensor_cores && !options_.exact_rows && rows > kFewestRows && device_.has_products() &&
      is_aligned(product.x)) {
    multiply_by_library(product);
  } else if (on_tensor_cores) {
    multiply_few_mma(stream(), product);
  } else if (options_.exact_rows || rows <= kFewRows) {
    multiply_few(stream(), product);
  } else {
    multiply_many(stream(), product);
  }
}

void KernelOps::multiply_by_library(const Product& product) {
  const int64_t rows = product.x.rows, outputs = product.weight.outputs;
  View out = product.out;
  if (product.epilogue == Epilogue::swiglu) {
    out = {sums_.at_least(rows * outputs * static_cast<int64_t>(sizeof(float))), Element::f32, rows,
           outputs, outputs};
  }
  if (product.bias != nullptr) spread(stream(), product.bias, out);
  device_.multiply(product.x, product.weight, out,
                   product.epilogue == Epilogue::add || product.bias != nullptr);
  if (product.epilogue == Epilogue::swiglu)
    cuda::swiglu(stream(), out, GateUp::alternating, product.out);
}

template <class T>
void KernelOps::write_rows(std::span<const HostMatrix> parts, PackOrder order,
                           const DeviceWeight& weight) {
  const int64_t step = order == PackOrder::interleaved ? 2 : 1;
  const auto bytes = static_cast<int64_t>(sizeof(T));
  std::vector<T> rows;
  int64_t first = 0;
  for (const HostMatrix& part : parts) {
    // Most are stored in the type that they have here.
    const bool is_as_stored = part.made == nullptr && part.dtype == kDType<T>;
    auto* data = const_cast<std::byte*>(part.data);
    if (!is_as_stored) {
      rows.resize(static_cast<size_t>(part.rows * part.cols));
      for (int64_t row = 0; row < part.rows; ++row)
        read_weights(part, row, rows.data() + row * part.cols);
      data = reinterpret_cast<std::byte*>(rows.data());
    }
    if (part.rows * part.cols > 0) {
      const int64_t pitch = weight.view.stride * bytes;
      device_.write(
          {data, part.rows, part.cols * bytes, part.cols * bytes},
          {weight.memory->data + first * pitch, part.rows, part.cols * bytes, step * pitch});
    }
    first += order == PackOrder::interleaved ? 1 : part.rows;
  }
}

std::unique_ptr<PackedWeight> KernelOps::pack(PackOrder order, std::span<const HostMatrix> parts,
                                              WeightFormat format) {
  check_pack(order, parts, format);
  TIDAR_CHECK(facts_of(format).plain.has_value() && "weights on GPUs are f32 or bf16");
  const DType type = *facts_of(format).plain;
  auto weight = std::make_unique<DeviceWeight>();
  weight->format = format;
  weight->inputs = parts[0].cols;
  for (const HostMatrix& part : parts) weight->outputs += part.rows;
  const auto size = static_cast<int64_t>(size_of(type));
  const int64_t stride =
      (weight->inputs * size + kWeightAlignment - 1) / kWeightAlignment * kWeightAlignment / size;
  weight->bytes = weight->outputs * stride * size;
  weight->memory = device_.allocate(weight->bytes);
  weight->view = {weight->memory->data, element_of(type), weight->outputs, weight->inputs, stride};
  if (type == DType::bf16) {
    write_rows<BFloat16>(parts, order, *weight);
  } else {
    write_rows<float>(parts, order, *weight);
  }
  return weight;
}

std::unique_ptr<PackedVector> KernelOps::pack_vector(std::span<const HostMatrix> parts) {
  const auto on_host = reference_->pack_vector(parts);
  auto vector = std::make_unique<DeviceVector>();
  static_cast<PackedVector&>(*vector) = *on_host;
  const std::span<const float> values = values_of(*on_host);
  vector->values = Numbers(device_, std::vector<float>(values.begin(), values.end()));
  return vector;
}

std::unique_ptr<RopeTable> KernelOps::make_rope(std::span<const double> frequencies, double factor,
                                                int64_t positions) {
  const auto on_host = reference_->make_rope(frequencies, factor, positions);
  auto table = std::make_unique<DeviceRope>();
  static_cast<RopeTable&>(*table) = *on_host;
  table->cosines = Numbers(device_, host(*on_host).cosines);
  table->sines = Numbers(device_, host(*on_host).sines);
  return table;
}

std::unique_ptr<KvStore> KernelOps::make_kv(const KvShape& shape) {
  check_kv_shape(*this, shape);
  TIDAR_CHECK_LE(shape.head_size, kMostHead);
  auto store = std::make_unique<DeviceStore>();
  store->shape = shape;
  const int64_t pages = int64_t{shape.layers} * shape.pages + pages_for(shape.rows);
  const int64_t bytes = pages * kPageKeys * shape.kv_heads * shape.head_size *
                        static_cast<int64_t>(size_of(shape.dtype));
  store->keys = device_.allocate(bytes);
  store->values = device_.allocate(bytes);
  store->bytes = 2 * bytes;
  store->view = {.keys = store->keys->data,
                 .values = store->values->data,
                 .type = element_of(shape.dtype),
                 .layers = shape.layers,
                 .kv_heads = shape.kv_heads,
                 .head_size = shape.head_size,
                 .pages = shape.pages};
  return store;
}

void KernelOps::prepare(const Pass& pass, const KvStore* kv,
                        std::unique_ptr<PreparedPass>& prepared) {
  settle();
  if (prepared == nullptr) prepared = std::make_unique<DevicePass>(device_);
  auto& made = static_cast<DevicePass&>(*prepared);
  if (kv == nullptr) {
    made.take_rows(pass);
    made.plan = {};
  } else {
    made.take(pass);
    made.plan.make(pass, kv->shape.pages, part_keys(pass, kv->shape));
    made.keys_read = made.plan.keys_read;
  }
  made.upload();
}

// With exact_rows always as many; else as many as give every processor some work, for parts cost
// time when they are merged.
int KernelOps::part_keys(const Pass& pass, const KvShape& shape) const {
  constexpr int64_t kBlocksEach = 2;
  if (options_.exact_rows) return AttendPlan::kPartKeys;
  const int64_t wanted = kBlocksEach * device_.processors();
  return AttendPlan::part_keys_for(pass, (wanted + shape.kv_heads - 1) / shape.kv_heads);
}

void KernelOps::move_kv(std::span<const SlotMove> moves, KvStore& kv) {
  check_move_kv(moves, kv);
  settle();
  std::vector<Move> all;
  for (const SlotMove& move : moves) all.push_back({move.from, move.to});
  cuda::move_kv(stream(), moves_.put(std::span<const Move>(all)), static_cast<int64_t>(all.size()),
                own(kv).view);
}

void KernelOps::attend(Matrix q, const PreparedPass& pass, const KvStore& kv, int layer,
                       Matrix out) {
  check_attend(*this, q, pass, kv, layer, out);
  settle();
  const DevicePass& rows = own(pass);
  const int64_t heads = q.cols / kv.shape.head_size;
  const int64_t floats = rows.plan.partials * heads * (kv.shape.head_size + 2);
  AttendCall call;
  call.q = view(q);
  call.kv = own(kv).view;
  call.layer = layer;
  call.group = static_cast<int>(heads / kv.shape.kv_heads);
  call.scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(kv.shape.head_size)));
  call.sights = rows.sights;
  call.pages = rows.pages;
  call.parts = rows.parts;
  call.part_count = static_cast<int64_t>(rows.plan.parts.size());
  call.most_rows = rows.plan.most_rows;
  call.row_parts = rows.row_parts;
  call.partials =
      reinterpret_cast<float*>(partials_.at_least(floats * static_cast<int64_t>(sizeof(float))));
  call.out = view(out);
  call.tensor_cores = options_.tensor_cores;
  cuda::attend(stream(), call);
}

std::vector<LogitFacts> KernelOps::look_at(Matrix logits, const Asks& asks) {
  const LogitQuestions asked = questions_of(asks);
  const auto count = static_cast<int64_t>(asked.questions.size());
  const auto size = static_cast<int64_t>(sizeof(LogitFacts));
  const int64_t parts = count * logit_parts(logits.cols);
  std::byte* const room = facts_.at_least((count + parts) * size);
  auto* const rows = reinterpret_cast<LogitFacts*>(room);
  const auto* const questions = questions_.put(std::span<const LogitQuestion>(asked.questions));
  const auto* const changes = changes_.put(std::span<const LogitChange>(asked.changes));
  find_facts(stream(), view(logits), questions, count, changes, rows + count, rows);
  std::vector<LogitFacts> facts(asked.questions.size());
  device_.read(line_of(room, count * size), line_of(facts.data(), count * size));
  return facts;
}

// The host draws, changes and lists; but probabilities are by the facts in any case, so that they
// do not depend on what else was asked.
void KernelOps::read_logits(Matrix logits, const Asks& asks, std::span<Answer> answers) {
  check_read_logits(*this, logits, asks, answers);
  settle();
  if (asks.empty()) return;
  const std::vector<LogitFacts> facts = look_at(logits, asks);
  if (std::all_of(asks.begin(), asks.end(), is_answered_by_facts)) {
    for (size_t i = 0; i < asks.size(); ++i) answers[i] = answer_by(facts[i], asks[i]);
    return;
  }
  const Buffer buffer(static_cast<size_t>(logits.bytes()));
  const Matrix host(buffer.data(), DType::f32, logits.rows, logits.cols);
  read(logits, host);
  reference_->read_logits(host, asks, answers);
  for (size_t i = 0; i < asks.size(); ++i) retell_by(facts[i], asks[i], host, answers[i]);
}

}  // namespace

std::unique_ptr<CudaOps> make_cuda_ops(Device& device, const CudaOptions& options) {
  return std::make_unique<KernelOps>(device, options);
}

}  // namespace tidar::cuda

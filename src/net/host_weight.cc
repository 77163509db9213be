#include "net/host_weight.h"

#include "base/check.h"

namespace tidar {

namespace {

HostMatrix matrix_without_data(const StoredTensor& tensor) {
  const bool is_vector = tensor.shape.size() == 1;
  TIDAR_CHECK(is_vector || tensor.shape.size() == 2);
  return {
      .dtype = tensor.dtype, .rows = is_vector ? 1 : tensor.shape[0], .cols = tensor.shape.back()};
}

bool is_kept(StoredForm form, WeightFormat format) {
  return (form == StoredForm::codes8 && format == WeightFormat::w8) ||
         (form == StoredForm::codes4 && format == WeightFormat::w4);
}

}  // namespace

HostMatrix host_matrix(const StoredTensor& tensor) {
  HostMatrix matrix = matrix_without_data(tensor);
  matrix.data = tensor.data.data();
  return matrix;
}

HostWeight::HostWeight(const ModelWeights& weights, WeightRole role, int layer, WeightFormat format)
    : weights_(weights) {
  const StoredForm form = weights.form(role, layer);
  if (form == StoredForm::numbers || facts_of(format).plain) {
    tensor_ = &weights.get(role, layer);
    matrix_ = host_matrix(*tensor_);
    return;
  }
  tensor_ = &weights.look_at(role, layer);
  matrix_ = matrix_without_data(*tensor_);
  if (is_kept(form, format)) {
    codes_ = weights.codes(role, layer);
    matrix_.data = codes_.codes.data();
    matrix_.scales = {codes_.scales.data(), codes_.scales.bytes()};
  } else {
    rows_.emplace(weights, *tensor_);
    matrix_.made = &*rows_;
  }
}

HostWeight::~HostWeight() { weights_.release(*tensor_); }

}  // namespace tidar

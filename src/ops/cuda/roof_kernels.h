#pragma once
// What roofs.cc has a device carry out: on the default stream, by so many blocks. For devices
// alone, since it is they that are measured.

#include <cstdint>

namespace tidar::cuda {

/// Reads `bytes`, a multiple of 16, and writes nothing. `out` is 4 bytes of the device's memory.
void read_all(int blocks, const void* data, int64_t bytes, void* out);

/// `count` bf16 numbers between -1 and 1 whose bits look random: products of zeros take less power,
/// and so are faster than others.
void fill_randomly(int blocks, void* numbers, int64_t count, uint32_t seed);

}  // namespace tidar::cuda

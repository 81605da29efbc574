// What the generated witness functions are written in: a row's cells, the trace, the lookup tables.
//
// The functions come from RISC Zero's published source. Every word that they take an index from is bounded here, and
// everything that they refuse is thrown as a Failure, which `starling_rv32im_witness` catches: nothing is printed and
// nothing ends the process.
//
// Rows run on several threads. A row writes its own cells and reads those of rows before it; what it may read there was
// put in before any row ran. A wrong trace can make two threads meet in one cell, so cells are loaded and stored
// atomically, without order: such a meeting yields the old word or the new one, and a proof that does not verify.

#pragma once

#include "fp.h"
#include "fpext.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>

namespace starling_rv32im {

using Val = risc0::Fp;
using ExtVal = risc0::FpExt;
using Index = size_t;

// Why a row has no witness.
struct Failure {
  const char* what;
};

[[noreturn]] void fail(const char* what);

// What the preflight noted. Layouts as in src/raw.rs and src/kernel.rs, which assert the same numbers.
struct Cycle {
  uint32_t state;
  uint32_t pc;
  uint8_t major;
  uint8_t minor;
  uint8_t machineMode;
  uint8_t padding;
  uint32_t userCycle;
  uint32_t txnIdx;
  uint32_t pagingIdx;
  uint32_t bigintIdx;
  uint32_t diffCount[2];
};

struct Transaction {
  uint32_t addr;
  uint32_t cycle;
  uint32_t word;
  uint32_t prevCycle;
  uint32_t prevWord;
};

struct Trace {
  const Cycle* cycles;
  const Transaction* txns;
  const uint8_t* bigintBytes;
  // How often each byte, and each word of 16 bits, was looked up.
  uint32_t* lookups8;
  uint32_t* lookups16;
  uint32_t cycleCount;
  uint32_t txnCount;
  uint32_t bigintByteCount;
};

#define LAID_OUT(type, field, at) static_assert(offsetof(type, field) == (at))
static_assert(sizeof(Cycle) == 36);
LAID_OUT(Cycle, state, 0);
LAID_OUT(Cycle, pc, 4);
LAID_OUT(Cycle, major, 8);
LAID_OUT(Cycle, minor, 9);
LAID_OUT(Cycle, machineMode, 10);
LAID_OUT(Cycle, padding, 11);
LAID_OUT(Cycle, userCycle, 12);
LAID_OUT(Cycle, txnIdx, 16);
LAID_OUT(Cycle, pagingIdx, 20);
LAID_OUT(Cycle, bigintIdx, 24);
LAID_OUT(Cycle, diffCount, 28);
static_assert(sizeof(Transaction) == 20);
LAID_OUT(Transaction, addr, 0);
LAID_OUT(Transaction, cycle, 4);
LAID_OUT(Transaction, word, 8);
LAID_OUT(Transaction, prevCycle, 12);
LAID_OUT(Transaction, prevWord, 16);
static_assert(sizeof(void*) == 8 && sizeof(Trace) == 56);
LAID_OUT(Trace, cycles, 0);
LAID_OUT(Trace, txns, 8);
LAID_OUT(Trace, bigintBytes, 16);
LAID_OUT(Trace, lookups8, 24);
LAID_OUT(Trace, lookups16, 32);
LAID_OUT(Trace, cycleCount, 40);
LAID_OUT(Trace, txnCount, 44);
LAID_OUT(Trace, bigintByteCount, 48);
#undef LAID_OUT

// The row being filled.
struct ExecContext {
  const Trace& trace;
  uint32_t cycle;
  // The next of its transactions.
  uint32_t txn;
};

// Columns of a power of two of rows, seen from one of them. Which columns there are is fixed by the layout.
struct Columns {
  Val* words;
  size_t rows;
  size_t row;

  Val& cell(size_t column, size_t back) const {
    return words[column * rows + ((row - back) & (rows - 1))];
  }

  Val get(size_t column, size_t back) const {
    Val value;
    __atomic_load(&cell(column, back), &value, __ATOMIC_RELAXED);
    if (value == Val::invalid()) {
      fail("a cell is read that is not set");
    }
    return value;
  }

  void set(size_t column, Val value) const {
    Val old;
    __atomic_load(&cell(column, 0), &old, __ATOMIC_RELAXED);
    if (old == value) {
      return;
    }
    if (old != Val::invalid()) {
      fail("a cell is set to two values");
    }
    __atomic_store(&cell(column, 0), &value, __ATOMIC_RELAXED);
  }
};

using MutableBuf = Columns*;
using GlobalBuf = Columns*;

// The layout: a column, and a part of the layout bound to the columns it is in.
struct Reg {
  constexpr Reg(uint32_t column) : column(column) {}
  uint32_t column;
};

template <typename T> struct BoundLayout {
  BoundLayout(const T& layout, Columns* columns) : layout(layout), columns(columns) {}
  const T& layout;
  Columns* columns;
};

#define BIND_LAYOUT(origin, columns) BoundLayout(origin, columns)
#define LAYOUT_LOOKUP(origin, member) BoundLayout((origin).layout.member, (origin).columns)
#define LAYOUT_SUBSCRIPT(origin, index) BoundLayout((origin).layout[index], (origin).columns)

inline Val load(BoundLayout<Reg> reg, size_t back) {
  return reg.columns->get(reg.layout.column, back);
}

inline ExtVal loadExt(BoundLayout<Reg> reg, size_t back) {
  const Columns& columns = *reg.columns;
  const uint32_t first = reg.layout.column;
  return ExtVal(columns.get(first, back),
                columns.get(first + 1, back),
                columns.get(first + 2, back),
                columns.get(first + 3, back));
}

inline void store(BoundLayout<Reg> reg, Val value) {
  reg.columns->set(reg.layout.column, value);
}

inline void storeExt(BoundLayout<Reg> reg, ExtVal value) {
  for (uint32_t i = 0; i < 4; i++) {
    reg.columns->set(reg.layout.column + i, value.elems[i]);
  }
}

#define LOAD(reg, back) load(reg, back)
#define LOAD_EXT(reg, back) loadExt(reg, back)
#define STORE(reg, value) store(reg, value)
#define STORE_EXT(reg, value) storeExt(reg, value)

// Arithmetic.
inline size_t to_size_t(Val a) {
  return a.asUInt32();
}

inline Val isz(Val a) {
  return Val(a == Val(0));
}

inline Val neg_0(Val a) {
  return -a;
}

// 2^-i. Bits are taken out of words by dividing by powers of two: without this table, a quarter of all time.
inline constexpr std::array<Val, 31> kInverseOfPower = [] {
  std::array<Val, 31> inverse{};
  const Val half = risc0::inv(Val(2));
  inverse[0] = Val(1);
  for (size_t i = 1; i < inverse.size(); i++) {
    inverse[i] = inverse[i - 1] * half;
  }
  return inverse;
}();

inline Val inv_0(Val a) {
  const uint32_t number = a.asUInt32();
  if (number != 0 && (number & (number - 1)) == 0) {
    return kInverseOfPower[__builtin_ctz(number)];
  }
  return risc0::inv(a);
}

inline ExtVal inv_0(ExtVal a) {
  return risc0::inv(a);
}

inline Val bitAnd(Val a, Val b) {
  return Val(a.asUInt32() & b.asUInt32());
}

inline Val inRange(Val low, Val a, Val high) {
  if (high < low) {
    fail("a range ends before it begins");
  }
  return Val(low <= a && a < high);
}

inline void eqz(Val a, const char* constraint) {
  if (a != Val(0)) {
    fail(constraint);
  }
}

inline void eqz(ExtVal a, const char* constraint) {
  if (a != ExtVal()) {
    fail(constraint);
  }
}

#define EQZ(a, constraint) eqz(a, constraint)

// What the generated code asserts is that one of its arms is taken.
#undef assert
#define assert(condition) ((condition) ? void() : fail("no arm is taken"))

// Loops.
template <typename A, size_t N, typename L, typename F>
inline auto map(const std::array<A, N>& elems, const BoundLayout<L>& layout, F f) {
  std::array<decltype(f(elems[0], LAYOUT_SUBSCRIPT(layout, 0))), N> out;
  for (size_t i = 0; i < N; i++) {
    out[i] = f(elems[i], LAYOUT_SUBSCRIPT(layout, i));
  }
  return out;
}

template <typename A, size_t N, typename S, typename L, typename F>
inline S reduce(const std::array<A, N>& elems, S state, const BoundLayout<L>& layout, F f) {
  for (size_t i = 0; i < N; i++) {
    state = f(state, elems[i], LAYOUT_SUBSCRIPT(layout, i));
  }
  return state;
}

// What the functions ask the trace.
#define INVOKE_EXTERN(ctx, name, ...) extern_##name(ctx, ##__VA_ARGS__)

std::array<Val, 5> extern_getMemoryTxn(ExecContext& ctx, Val addr);
std::array<Val, 2> extern_getMajorMinor(ExecContext& ctx);
std::array<Val, 2> extern_nextPagingIdx(ExecContext& ctx);
std::array<Val, 16> extern_bigIntExtern(ExecContext& ctx);
std::array<Val, 4> extern_divide(
    ExecContext& ctx, Val numerLow, Val numerHigh, Val denomLow, Val denomHigh, Val kind);
Val extern_getDiffCount(ExecContext& ctx, Val cycle);
Val extern_hostReadPrepare(ExecContext& ctx, Val fd, Val length);
Val extern_hostWrite(ExecContext& ctx, Val fd, Val addrLow, Val addrHigh, Val length);
Val extern_lookupCurrent(ExecContext& ctx, Val table, Val index);
void extern_lookupDelta(ExecContext& ctx, Val table, Val index, Val count);

inline Val extern_isFirstCycle_0(ExecContext& ctx) {
  return Val(ctx.cycle == 0);
}

// The preflight has counted these already.
inline void extern_memoryDelta(ExecContext&, Val, Val, Val, Val, Val) {}

// Conditions that the constraints say too, and remarks.
inline void extern_assert(ExecContext&, Val, const char*) {}
inline void extern_log(ExecContext&, const char*, std::initializer_list<Val>) {}

} // namespace starling_rv32im

// The witness of a range of rows, and what its functions ask the trace.

#include "steps.h"

#include <cstdio>

namespace starling_rv32im {

void fail(const char* what) {
  throw Failure{what};
}

namespace {

const Cycle& current(const ExecContext& ctx) {
  return ctx.trace.cycles[ctx.cycle]; // bounded by starling_rv32im_witness
}

// The transaction that comes next. A trace has them in the order of its rows, so one of another row comes after the last
// of this.
const Transaction& transaction(const ExecContext& ctx) {
  if (ctx.txn >= ctx.trace.txnCount) {
    fail("the transactions are at an end");
  }
  const Transaction& txn = ctx.trace.txns[ctx.txn];
  if (txn.cycle / 2 != ctx.cycle) {
    fail("the next transaction is another row's");
  }
  return txn;
}

Val low(uint32_t word) {
  return Val(word & 0xffff);
}

Val high(uint32_t word) {
  return Val(word >> 16);
}

// The counter of one entry of a table, of 8 or 16 bits.
uint32_t& counter(const Trace& trace, Val table, Val index) {
  const uint32_t bits = table.asUInt32();
  if (bits != 8 && bits != 16) {
    fail("a lookup in a table that does not exist");
  }
  const uint32_t entry = index.asUInt32();
  if (entry >> bits != 0) {
    fail("a lookup beyond the end of a table");
  }
  return bits == 8 ? trace.lookups8[entry] : trace.lookups16[entry];
}

} // namespace

std::array<Val, 5> extern_getMemoryTxn(ExecContext& ctx, Val addr) {
  const Transaction& txn = transaction(ctx);
  if (txn.addr != addr.asUInt32()) {
    fail("the next transaction is of another address");
  }
  ctx.txn++;
  return {Val(txn.prevCycle), low(txn.prevWord), high(txn.prevWord), low(txn.word), high(txn.word)};
}

std::array<Val, 2> extern_getMajorMinor(ExecContext& ctx) {
  return {Val(current(ctx).major), Val(current(ctx).minor)};
}

std::array<Val, 2> extern_nextPagingIdx(ExecContext& ctx) {
  return {Val(current(ctx).pagingIdx), Val(current(ctx).machineMode)};
}

std::array<Val, 16> extern_bigIntExtern(ExecContext& ctx) {
  const uint32_t begin = current(ctx).bigintIdx;
  std::array<Val, 16> bytes;
  if (begin > ctx.trace.bigintByteCount || ctx.trace.bigintByteCount - begin < bytes.size()) {
    fail("the bytes of big integers are at an end");
  }
  for (size_t i = 0; i < bytes.size(); i++) {
    bytes[i] = Val(ctx.trace.bigintBytes[begin + i]);
  }
  return bytes;
}

// Division without sign (kind 0), with sign and rounded to zero (1), with sign and rounded down (2, for shifts: the
// denominator is a power of two and has no sign).
std::array<Val, 4> extern_divide(
    ExecContext&, Val numerLow, Val numerHigh, Val denomLow, Val denomHigh, Val kind) {
  const uint32_t numer = numerLow.asUInt32() | (numerHigh.asUInt32() << 16);
  const uint32_t denom = denomLow.asUInt32() | (denomHigh.asUInt32() << 16);
  uint32_t quotient = UINT32_MAX;
  uint32_t remainder = numer;
  if (denom != 0) {
    switch (kind.asUInt32()) {
    case 0:
      quotient = numer / denom;
      remainder = numer % denom;
      break;
    case 1: {
      // In 64 bits, where the least number divided by -1 is no overflow.
      const int64_t signedNumer = int32_t(numer);
      const int64_t signedDenom = int32_t(denom);
      quotient = uint32_t(signedNumer / signedDenom);
      remainder = uint32_t(signedNumer % signedDenom);
      break;
    }
    case 2: {
      const uint32_t flip = int32_t(numer) < 0 ? UINT32_MAX : 0;
      quotient = ((numer ^ flip) / denom) ^ flip;
      remainder = ((numer ^ flip) % denom) ^ flip;
      break;
    }
    default:
      fail("a division of a kind that does not exist");
    }
  }
  return {low(quotient), high(quotient), low(remainder), high(remainder)};
}

Val extern_getDiffCount(ExecContext& ctx, Val cycle) {
  const uint32_t time = cycle.asUInt32();
  if (time / 2 >= ctx.trace.cycleCount) {
    fail("a distance beyond the last row");
  }
  return Val(ctx.trace.cycles[time / 2].diffCount[time % 2]);
}

Val extern_hostReadPrepare(ExecContext& ctx, Val, Val) {
  return Val(transaction(ctx).word);
}

Val extern_hostWrite(ExecContext& ctx, Val, Val, Val, Val) {
  return Val(transaction(ctx).word);
}

Val extern_lookupCurrent(ExecContext& ctx, Val table, Val index) {
  return Val(__atomic_load_n(&counter(ctx.trace, table, index), __ATOMIC_RELAXED));
}

void extern_lookupDelta(ExecContext& ctx, Val table, Val index, Val) {
  if (table == Val(0)) {
    return; // of cycles, which the preflight has counted
  }
  __atomic_fetch_add(&counter(ctx.trace, table, index), 1, __ATOMIC_RELAXED);
}

} // namespace starling_rv32im

// Fills the rows from begin to before end: data has 211 columns of rows words, globals 90 words. Both hold words in
// Montgomery form, or 0xffffffff for what is not set. rows is a power of two, end <= rows and end <= trace->cycleCount.
//
// Returns 0, or 1 with the reason in message, ended by a zero.
extern "C" int32_t starling_rv32im_witness(const starling_rv32im::Trace* trace,
                                           risc0::Fp* data,
                                           risc0::Fp* globals,
                                           uint32_t rows,
                                           uint32_t begin,
                                           uint32_t end,
                                           char* message,
                                           size_t messageSize) {
  using namespace starling_rv32im;
  uint32_t row = begin;
  const char* what = "an unknown exception";
  try {
    for (; row < end; row++) {
      ExecContext ctx{*trace, row, trace->cycles[row].txnIdx};
      Columns ofData{data, rows, row};
      Columns ofGlobals{globals, 1, 0};
      step_Top(ctx, &ofData, &ofGlobals);
    }
    return 0;
  } catch (const Failure& failure) {
    what = failure.what;
  } catch (...) {
  }
  snprintf(message, messageSize, "row %u: %s", row, what);
  return 1;
}

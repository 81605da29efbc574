//! Transforms and polynomials at the sizes of a recursion proof (2^18 rows), one column or operation at a time,
//! with every ISA that this machine has: `RAYON_NUM_THREADS=1 cargo bench -p starling-babybear --bench poly`.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use risc0_core::field::Elem as _;
use risc0_core::field::baby_bear::{BabyBearElem as Elem, BabyBearExtElem as Ext};
use starling_babybear::ntt;
use starling_babybear::poly::{self, Order, Query};
use starling_babybear::vector::{Isa, P};

/// Rows of a recursion proof, before expansion.
const ROWS: usize = 1 << 18;
/// Columns of a recursion proof's largest group are 128: enough of them that none stays in a cache.
const COLUMNS: usize = 32;

fn words(count: usize) -> Vec<u32> {
    // A multiplicative walk: no pattern that a transform could profit from.
    let mut word = 1_u32;
    std::iter::repeat_with(|| {
        word = word.wrapping_mul(0x9e37_79b1).wrapping_add(0x7f4a_7c15);
        word % P
    })
    .take(count)
    .collect()
}

/// Bytes of a cache line, on whose border a prover's buffers begin.
const LINE: usize = 64;

/// The part of `buffer` that begins on a line's border, `count` words of it.
fn aligned(buffer: &mut [u32], count: usize) -> &mut [u32] {
    let skip = buffer.as_ptr().align_offset(LINE);
    &mut buffer[skip..skip + count]
}

fn transforms(c: &mut Criterion) {
    let mut group = c.benchmark_group(format!("ntt/{COLUMNS} columns of 2^18"));
    group.sample_size(10);
    let mut matrix = words(COLUMNS * ROWS + LINE);
    let matrix = aligned(&mut matrix, COLUMNS * ROWS);
    let mut out = vec![0; 4 * matrix.len() + LINE];
    let out = aligned(&mut out, 4 * matrix.len());
    group.throughput(Throughput::Elements(matrix.len() as u64));
    for isa in Isa::available() {
        group.bench_function(BenchmarkId::new("interpolate_shift", isa.name()), |b| {
            b.iter(|| ntt::interpolate_shift(isa, black_box(&mut *matrix), ROWS));
        });
        group.bench_function(BenchmarkId::new("expand_evaluate", isa.name()), |b| {
            b.iter(|| ntt::expand_evaluate(isa, black_box(&mut *out), matrix, ROWS, 2));
        });
        group.bench_function(BenchmarkId::new("evaluate_coset", isa.name()), |b| {
            let out = &mut out[..COLUMNS * ROWS];
            b.iter(|| ntt::evaluate_coset(isa, black_box(&mut *out), matrix, ROWS, 1));
        });
        group.bench_function(BenchmarkId::new("bit_reverse", isa.name()), |b| {
            b.iter(|| ntt::bit_reverse(isa, black_box(&mut *matrix), ROWS));
        });
    }
    group.finish();
}

fn polynomials(c: &mut Criterion) {
    let mut group = c.benchmark_group("poly/2^18");
    group.sample_size(10);
    let matrix = words(COLUMNS * ROWS);
    let point = Ext::new(Elem::new(3), Elem::new(5), Elem::new(7), Elem::new(11));
    // As a recursion proof asks: five points of a column on average, out of nine.
    let queries: Vec<Query> = (0..5 * COLUMNS)
        .map(|index| Query { column: index / 5, x: point.pow(1 + index % 5 + index / 5 % 5) })
        .collect();
    let which: Vec<u32> = (0..COLUMNS as u32).map(|column| column % 6).collect();
    let mut combos = words(6 * 4 * ROWS);
    let mut sum = words(4 * ROWS);
    let mut folded = vec![0; 4 * ROWS / poly::FOLD];
    for isa in Isa::available() {
        group.bench_function(BenchmarkId::new("evaluate_at, 160 values", isa.name()), |b| {
            b.iter(|| poly::evaluate_at(isa, &matrix, ROWS, &queries, Order::BitReversed));
        });
        group.bench_function(BenchmarkId::new("mix_into, 32 columns", isa.name()), |b| {
            b.iter(|| {
                let combos = black_box(&mut combos);
                poly::mix_into(isa, combos, ROWS, &matrix, &which, Ext::ONE, point);
            });
        });
        group.bench_function(BenchmarkId::new("divide, one point", isa.name()), |b| {
            b.iter(|| poly::divide(isa, black_box(&mut combos[..4 * ROWS]), point));
        });
        group.bench_function(BenchmarkId::new("sum_planes, 6 combos", isa.name()), |b| {
            b.iter(|| poly::sum_planes(isa, black_box(&mut sum), &combos));
        });
        group.bench_function(BenchmarkId::new("fri_fold", isa.name()), |b| {
            b.iter(|| poly::fri_fold(isa, black_box(&mut folded), &sum, point));
        });
    }
    group.finish();
}

criterion_group!(benches, transforms, polynomials);
criterion_main!(benches);

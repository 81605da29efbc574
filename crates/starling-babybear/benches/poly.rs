//! Transforms and polynomials at the sizes of a recursion proof (2^18 rows), one column or operation at a time,
//! with every ISA that this machine has: `RAYON_NUM_THREADS=1 cargo bench -p starling-babybear --bench poly`.

use divan::{Bencher, black_box};
use risc0_core::field::Elem as _;
use risc0_core::field::baby_bear::{BabyBearElem as Elem, BabyBearExtElem as Ext};
use starling_babybear::ntt;
use starling_babybear::poly::{self, Order, Query};
use starling_babybear::vector::{Isa, P};

/// Rows of a recursion proof, before expansion.
const ROWS: usize = 1 << 18;
/// Columns of a recursion proof's largest group are 128: enough of them that none stays in a cache.
const COLUMNS: usize = 32;
/// Sets of rows that a recursion proof's taps distinguish.
const COMBOS: usize = 6;

fn main() {
    divan::main();
}

fn names() -> impl Iterator<Item = &'static str> {
    Isa::available().map(Isa::name)
}

fn named(name: &str) -> Isa {
    Isa::available().find(|isa| isa.name() == name).expect("the machine has it")
}

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

fn point() -> Ext {
    Ext::new(Elem::new(3), Elem::new(5), Elem::new(7), Elem::new(11))
}

/// Words from the border of a cache line on, as a prover's buffers are.
struct Aligned(Vec<u32>, usize);

impl Aligned {
    fn new(count: usize) -> Self {
        const LINE: usize = 64;
        let words = words(count + LINE);
        let skip = words.as_ptr().align_offset(LINE);
        Self(words, skip)
    }

    fn words(&mut self) -> &mut [u32] {
        &mut self.0[self.1..]
    }
}

#[divan::bench(args = names(), sample_count = 10)]
fn interpolate_shift_32_columns(bencher: Bencher<'_, '_>, isa: &str) {
    let (isa, mut matrix) = (named(isa), Aligned::new(COLUMNS * ROWS));
    let matrix = &mut matrix.words()[..COLUMNS * ROWS];
    bencher.bench_local(|| ntt::interpolate_shift(isa, black_box(&mut *matrix), ROWS));
}

#[divan::bench(args = names(), sample_count = 10)]
fn expand_evaluate_32_columns(bencher: Bencher<'_, '_>, isa: &str) {
    let (isa, matrix, mut out) =
        (named(isa), words(COLUMNS * ROWS), Aligned::new(4 * COLUMNS * ROWS));
    let out = &mut out.words()[..4 * COLUMNS * ROWS];
    bencher.bench_local(|| ntt::expand_evaluate(isa, black_box(&mut *out), &matrix, ROWS, 2));
}

#[divan::bench(args = names(), sample_count = 10)]
fn evaluate_coset_32_columns(bencher: Bencher<'_, '_>, isa: &str) {
    let (isa, matrix, mut out) = (named(isa), words(COLUMNS * ROWS), Aligned::new(COLUMNS * ROWS));
    let out = &mut out.words()[..COLUMNS * ROWS];
    bencher.bench_local(|| ntt::evaluate_coset(isa, black_box(&mut *out), &matrix, ROWS, 1));
}

#[divan::bench(args = names(), sample_count = 10)]
fn bit_reverse_32_columns(bencher: Bencher<'_, '_>, isa: &str) {
    let (isa, mut matrix) = (named(isa), words(COLUMNS * ROWS));
    bencher.bench_local(|| ntt::bit_reverse(isa, black_box(&mut matrix), ROWS));
}

#[divan::bench(args = names(), sample_count = 10)]
fn evaluate_at_160_values(bencher: Bencher<'_, '_>, isa: &str) {
    let (isa, matrix) = (named(isa), words(COLUMNS * ROWS));
    // As a recursion proof asks: five points of a column on average, out of nine.
    let queries: Vec<Query> = (0..5 * COLUMNS)
        .map(|index| Query { column: index / 5, x: point().pow(1 + index % 5 + index / 5 % 5) })
        .collect();
    bencher.bench_local(|| poly::evaluate_at(isa, &matrix, ROWS, &queries, Order::BitReversed));
}

#[divan::bench(args = names(), sample_count = 10)]
fn mix_into_32_columns(bencher: Bencher<'_, '_>, isa: &str) {
    let (isa, matrix, mut combos) = (named(isa), words(COLUMNS * ROWS), words(COMBOS * 4 * ROWS));
    let which: Vec<u32> = (0..COLUMNS as u32).map(|column| column % COMBOS as u32).collect();
    bencher.bench_local(|| {
        let combos = black_box(&mut combos);
        poly::mix_into(isa, combos, ROWS, &matrix, &which, Ext::ONE, point());
    });
}

#[divan::bench(args = names(), sample_count = 10)]
fn divide_by_one_point(bencher: Bencher<'_, '_>, isa: &str) {
    let (isa, mut combo) = (named(isa), words(4 * ROWS));
    bencher.bench_local(|| poly::divide(isa, black_box(&mut combo), point()));
}

#[divan::bench(args = names(), sample_count = 10)]
fn sum_planes_of_6_combos(bencher: Bencher<'_, '_>, isa: &str) {
    let (isa, combos, mut sum) = (named(isa), words(COMBOS * 4 * ROWS), words(4 * ROWS));
    bencher.bench_local(|| poly::sum_planes(isa, black_box(&mut sum), &combos));
}

#[divan::bench(args = names(), sample_count = 10)]
fn fri_fold(bencher: Bencher<'_, '_>, isa: &str) {
    let (isa, sum) = (named(isa), words(4 * ROWS));
    let mut folded = vec![0; 4 * ROWS / poly::FOLD];
    bencher.bench_local(|| poly::fri_fold(isa, black_box(&mut folded), &sum, point()));
}

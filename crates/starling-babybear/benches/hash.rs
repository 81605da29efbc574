//! Poseidon2 on one thread, for each instruction set of the machine: `cargo bench -p starling-babybear --bench hash`.
//!
//! The throughput's items are permutations.

use divan::{Bencher, black_box, counter::ItemsCount};
use starling_babybear::hash::{hash_pairs, hash_rows};
use starling_babybear::vector::{Isa, P};

const ROWS: usize = 1 << 12;
const COLUMNS: usize = 64;

/// Words of a block.
const RATE: usize = 16;

fn main() {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("one thread starts");
    pool.install(divan::main);
}

fn names() -> impl Iterator<Item = &'static str> {
    Isa::available().map(Isa::name)
}

fn named(name: &str) -> Isa {
    Isa::available().find(|isa| isa.name() == name).expect("the machine has it")
}

fn word(i: usize) -> u32 {
    (i as u32).wrapping_mul(0x9e37_79b9) % P
}

#[divan::bench(args = names())]
fn rows(bencher: Bencher<'_, '_>, isa: &str) {
    let isa = named(isa);
    let matrix: Vec<u32> = (0..ROWS * COLUMNS).map(word).collect();
    let mut digests = vec![[0; 8]; ROWS];
    bencher
        .counter(ItemsCount::new(ROWS * COLUMNS / RATE))
        .bench_local(|| hash_rows(isa, &mut digests, black_box(&matrix), ROWS, COLUMNS));
}

#[divan::bench(args = names())]
fn pairs(bencher: Bencher<'_, '_>, isa: &str) {
    let isa = named(isa);
    let children: Vec<[u32; 8]> = (0..2 * ROWS).map(|i| [word(i); 8]).collect();
    let mut digests = vec![[0; 8]; ROWS];
    bencher
        .counter(ItemsCount::new(ROWS))
        .bench_local(|| hash_pairs(isa, black_box(&children), &mut digests));
}

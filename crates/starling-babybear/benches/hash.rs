//! Poseidon2 on one thread, for each instruction set of the machine: `cargo bench -p starling-babybear --bench hash`.
//!
//! The throughput's elements are permutations.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use starling_babybear::hash::{hash_pairs, hash_rows};
use starling_babybear::vector::{Isa, P};

const ROWS: usize = 1 << 12;
const COLUMNS: usize = 64;

/// Words of a block.
const RATE: usize = 16;

fn hash(criterion: &mut Criterion) {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("one thread starts");
    let word = |i: usize| (i as u32).wrapping_mul(0x9e37_79b9) % P;
    let matrix: Vec<u32> = (0..ROWS * COLUMNS).map(word).collect();
    let children: Vec<[u32; 8]> = (0..2 * ROWS).map(|i| [word(i); 8]).collect();
    let mut digests = vec![[0; 8]; ROWS];

    let mut group = criterion.benchmark_group("poseidon2");
    group.sample_size(20);
    for isa in Isa::available() {
        group.throughput(Throughput::Elements((ROWS * COLUMNS / RATE) as u64));
        group.bench_function(format!("rows/{}", isa.name()), |bencher| {
            pool.install(|| {
                bencher.iter(|| hash_rows(isa, &mut digests, black_box(&matrix), ROWS, COLUMNS));
            });
        });
        group.throughput(Throughput::Elements(ROWS as u64));
        group.bench_function(format!("pairs/{}", isa.name()), |bencher| {
            pool.install(|| {
                bencher.iter(|| hash_pairs(isa, black_box(&children), &mut digests));
            });
        });
    }
    group.finish();
}

criterion_group!(benches, hash);
criterion_main!(benches);

//! Squares a number modulo another, `n` times in a row, with RISC Zero's big-integer accelerator
//! (`risc0-bigint2`).
//!
//! - Input: `n` and the width in bits (`u32` each, little-endian), which is 256 or 4,096; then the base
//!   and the modulus, little-endian, of that width. The base must be below the modulus.
//! - Journal: `n` (`u32`, little-endian), then the result, little-endian, of the same width: the base
//!   to the power of 2^n, modulo the modulus.
//!
//! Both widths, since a multiplication is one instruction to the circuit, of a hundred cycles or of more
//! than a thousand, and a segment can end before or behind it, but not within.

#![no_main]

use std::{array, io::Read, mem};

use input_reader::InputReader;
use risc0_bigint2::field::{
    FIELD_256_WIDTH_WORDS, FIELD_4096_WIDTH_WORDS, modmul_256, modmul_4096,
};
use risc0_zkvm::guest::env;

risc0_zkvm::guest::entry!(main);

/// A number of 32 bits a word, little-endian.
type Number<const WORDS: usize> = [u32; WORDS];

/// Sets its last argument to the product of the first two modulo the third, and checks it.
type ModMul<const WORDS: usize> =
    fn(&Number<WORDS>, &Number<WORDS>, &Number<WORDS>, &mut Number<WORDS>);

fn main() {
    let mut bytes = Vec::new();
    env::stdin().read_to_end(&mut bytes).expect("the host serves standard input");
    let mut input = InputReader::new(&bytes);
    let n = input.u32("n");
    match input.u32("width") {
        256 => square::<FIELD_256_WIDTH_WORDS>(n, input, modmul_256),
        4096 => square::<FIELD_4096_WIDTH_WORDS>(n, input, modmul_4096),
        other => panic!("numbers of {other} bits are not accelerated, expected 256 or 4096"),
    }
}

/// Reads base and modulus, squares `n` times and commits.
fn square<const WORDS: usize>(n: u32, mut input: InputReader, multiply: ModMul<WORDS>) {
    let mut power: Number<WORDS> = number(&mut input, "base");
    let modulus = number(&mut input, "modulus");
    input.finish();
    if power.iter().rev().ge(modulus.iter().rev()) {
        panic!("the base is not below the modulus");
    }

    let mut squared = [0; WORDS];
    for _ in 0..n {
        multiply(&power, &power, &modulus, &mut squared);
        mem::swap(&mut power, &mut squared);
    }

    env::commit_slice(&n.to_le_bytes());
    env::commit_slice(&power);
}

fn number<const WORDS: usize>(input: &mut InputReader, what: &str) -> Number<WORDS> {
    let (words, _) = input.bytes(WORDS * 4, what).as_chunks();
    array::from_fn(|word| u32::from_le_bytes(words[word]))
}

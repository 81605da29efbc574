//! The accumulator columns: that all rows use one memory.
//!
//! Each use of address `a` with the elements `v` is a factor `1 + m0 a + m1 v0 + m2 v1 + m3 v2 + m4 v3`, for random `m`
//! of the extension field. The circuit multiplies the factors of all uses in the order of the rows, divides by those in
//! the order of addresses, and wants 1 at the end. Since memory is written once, a factor depends on the address
//! alone: all are computed and inverted once, and rows only look them up.
//!
//! A row of `k` uses leaves up to three partial products, so that the constraint between two of them has few factors.

use rayon::prelude::*;
use risc0_zkp::field::Elem as _;
use risc0_zkp::field::baby_bear::{BabyBearElem as Elem, BabyBearExtElem as Ext};

use super::extension::product;
use super::uses::Firsts;
use super::{Noise, Share, shares};
use crate::circuits::{GroupKind, RECURSION};
use crate::recursion::machine::{Run, operands};
use crate::recursion::program::Program;
use crate::recursion::row::{MICRO_OPS, Row, USES_MAX};

/// Columns of the group: three extension elements.
pub(crate) const ACCUM_COLUMNS: usize = 12;

/// Elements of the challenge: five extension elements.
pub(crate) const MIX_ELEMENTS: usize = 20;

/// Factors that one thread computes and inverts at a time: 32 KiB of them and of their products, and one inversion.
const FACTOR_CHUNK: usize = 1024;

/// The products after the first group of uses in a row, after the second, and after all, by their first columns.
const FIRST: usize = 4;
const SECOND: usize = 8;
const ALL: usize = 0;

/// Fills `columns`, all accumulator columns of the trace of `run`, with the challenge `mix`, and `noise` below it.
pub(crate) fn fill(
    program: &Program,
    run: &Run,
    mix: &[Elem; MIX_ELEMENTS],
    noise: &Noise,
    columns: &mut [u32],
) {
    let (column_len, rows) = (1 << program.po2(), program.rows().len());
    noise.fill_below(RECURSION.group(GroupKind::Accum), columns, column_len, rows);
    let factors = Factors::new(run, mix);
    let firsts = Firsts::new(&run.uses);
    let mut shares = shares(columns, column_len, rows, program.starts());
    let products: Vec<Ext> = shares
        .par_iter_mut()
        .map(|share| quotients(program, run, &factors, &firsts, share))
        .collect();
    let befores = products.iter().scan(Ext::ONE, |all, factor| {
        let before = *all;
        *all = product(*all, *factor);
        Some(before)
    });
    let befores: Vec<Ext> = befores.collect();
    shares.par_iter_mut().zip(befores).for_each(|(share, before)| multiply(program, share, before));
}

/// The factor of each address, and its inverse.
struct Factors {
    factors: Vec<Ext>,
    inverses: Vec<Ext>,
}

impl Factors {
    fn new(run: &Run, mix: &[Elem; MIX_ELEMENTS]) -> Self {
        let (mix, _) = mix.as_chunks::<4>();
        let [address_mix, value_mix @ ..] = mix else {
            unreachable!("the challenge has {MIX_ELEMENTS} elements")
        };
        let (address_mix, value_mix) = (Ext::from(*address_mix), value_mix);
        let mut factors = vec![Ext::ZERO; run.memory.len()];
        let mut inverses = factors.clone();
        factors
            .par_chunks_mut(FACTOR_CHUNK)
            .zip(inverses.par_chunks_mut(FACTOR_CHUNK))
            .zip(run.memory.par_chunks(FACTOR_CHUNK))
            .enumerate()
            .for_each(|(chunk, ((factors, inverses), values))| {
                let mut base = Ext::ONE + address_mix * Elem::new((chunk * FACTOR_CHUNK) as u32);
                for (factor, value) in factors.iter_mut().zip(values) {
                    let terms = value_mix.iter().zip(value.elems());
                    *factor =
                        terms.fold(base, |sum, (mix, element)| sum + Ext::from(*mix) * *element);
                    base += address_mix;
                }
                invert(factors, inverses);
            });
        Self { factors, inverses }
    }
}

/// Inverts all of `values` with one inversion.
fn invert(values: &[Ext], inverses: &mut [Ext]) {
    let mut all = Ext::ONE;
    for (before, value) in inverses.iter_mut().zip(values) {
        *before = all;
        all = product(all, *value);
    }
    let mut inverse = all.inv();
    for (before, value) in inverses.iter_mut().zip(values).rev() {
        *before = product(*before, inverse);
        inverse = product(inverse, *value);
    }
}

/// Leaves the partial quotients of each row in its cells, as if the row were the first; the product of all rows.
fn quotients(
    program: &Program,
    run: &Run,
    factors: &Factors,
    firsts: &Firsts,
    share: &mut Share<'_>,
) -> Ext {
    let mut sorted = firsts.uses_from(&run.uses, share.start.uses);
    share.columns.iter_mut().for_each(|column| column.fill(0));
    let len = share.columns[0].len();
    let mut all = Ext::ONE;
    for (at, row) in program.rows()[share.start.row..][..len].iter().enumerate() {
        let mut addresses = [0; USES_MAX];
        let count = uses(row, &run.memory, &mut addresses);
        let group = group_size(row);
        let mut quotient = Ext::ONE;
        for (index, address) in addresses[..count].iter().enumerate() {
            if index > 0 && index % group == 0 {
                put(share, if index == group { FIRST } else { SECOND }, at, quotient);
            }
            let factor = factors.factors[*address as usize];
            quotient = product(product(quotient, factor), factors.inverses[sorted.next()]);
        }
        put(share, ALL, at, quotient);
        all = product(all, quotient);
    }
    all
}

/// Multiplies the quotients in the cells with the product of all rows before.
fn multiply(program: &Program, share: &mut Share<'_>, mut before: Ext) {
    let len = share.columns[0].len();
    for (at, row) in program.rows()[share.start.row..][..len].iter().enumerate() {
        let groups = row.use_count().div_ceil(group_size(row));
        for cell in [FIRST, SECOND].into_iter().take(groups.saturating_sub(1)) {
            let value = product(before, get(share, cell, at));
            put(share, cell, at, value);
        }
        before = product(before, get(share, ALL, at));
        // These rows have no accumulator; the first has the product of none.
        let shown = if matches!(row, Row::Nop | Row::WomFini { .. }) { Ext::ZERO } else { before };
        put(share, ALL, at, shown);
    }
}

fn put(share: &mut Share<'_>, first: usize, at: usize, value: Ext) {
    for (column, element) in share.columns[first..].iter_mut().zip(value.elems()) {
        column[at] = element.as_u32_montgomery();
    }
}

fn get(share: &Share<'_>, first: usize, at: usize) -> Ext {
    let word = |index: usize| Elem::new_raw(share.columns[first + index][at]);
    Ext::new(word(0), word(1), word(2), word(3))
}

/// Uses whose factors the circuit multiplies in one constraint.
fn group_size(row: &Row) -> usize {
    match row {
        Row::Micro { .. } | Row::PoseidonLoad(_) | Row::PoseidonStore { .. } => 3,
        _ => 2,
    }
}

/// The addresses that `row` uses, in the order of their columns; how many.
fn uses(row: &Row, memory: &[Ext], addresses: &mut [u32; USES_MAX]) -> usize {
    match *row {
        Row::Micro { write, ref ops } => {
            for index in 0..MICRO_OPS {
                let [a, b] =
                    operands(memory, &ops[index]).expect("the machine computed the same address");
                addresses[3 * index..][..3].copy_from_slice(&[a, b, write + index as u32]);
            }
        }
        Row::BitAnd { write, inputs: [a, b] } | Row::BitOpShorts { write, inputs: [a, b], .. } => {
            addresses[..3].copy_from_slice(&[a, b, write]);
        }
        Row::ShaInit { a, e } | Row::ShaFini { a, e } => addresses[..2].copy_from_slice(&[a, e]),
        Row::ShaLoad { word, constant, .. } => addresses[..2].copy_from_slice(&[word, constant]),
        Row::ShaMix { constant } => addresses[1] = constant,
        Row::SetGlobal { first, .. } => {
            addresses.iter_mut().zip(first..).take(4).for_each(|(address, next)| *address = next);
        }
        Row::PoseidonLoad(ref load) => addresses[..8].copy_from_slice(&load.inputs),
        Row::PoseidonStore { write, .. } => {
            addresses.iter_mut().zip(write..).take(8).for_each(|(address, next)| *address = next);
        }
        Row::Nop
        | Row::WomInit
        | Row::WomFini { .. }
        | Row::PoseidonFull { .. }
        | Row::PoseidonPartial => {}
    }
    row.use_count()
}

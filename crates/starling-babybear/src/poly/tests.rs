//! Every operation against `CpuHal`, whose arrays of extension elements are planes here.
#![allow(clippy::unwrap_used)]

use risc0_core::field::Elem as _;
use risc0_core::field::baby_bear::{BabyBear, BabyBearElem as Elem, BabyBearExtElem as Ext};
use risc0_zkp::core::hash::poseidon2::Poseidon2HashSuite;
use risc0_zkp::core::poly::poly_divide;
use risc0_zkp::hal::cpu::CpuHal;
use risc0_zkp::hal::{Buffer as _, Hal as _};

use super::*;
use crate::ntt::bit_reverse;
use crate::testing::{edge_words, elems, random_exts, random_words, sizes, words_of};
use crate::vector::Isa;

fn hal() -> CpuHal<BabyBear> {
    CpuHal::new(Poseidon2HashSuite::new_suite())
}

/// Polynomials of `rows` extension elements each, as planes.
fn planes(exts: &[Ext], rows: usize) -> Vec<u32> {
    let mut planes = Vec::with_capacity(4 * exts.len());
    for polynomial in exts.chunks_exact(rows) {
        for plane in 0..PLANES {
            planes.extend(polynomial.iter().map(|x| x.elems()[plane].as_u32_montgomery()));
        }
    }
    planes
}

/// Half at random, half of edge values.
fn words(seed: u64, count: usize) -> Vec<u32> {
    let mut words = random_words(seed, count / 2);
    words.extend(edge_words(count - count / 2));
    words
}

fn exts(seed: u64, count: usize) -> Vec<Ext> {
    elems(&words(seed, 4 * count))
        .chunks_exact(4)
        .map(|x| Ext::new(x[0], x[1], x[2], x[3]))
        .collect()
}

#[test]
fn powers_are_powers_in_either_order() {
    for log in sizes(&[0, 1, 2, 3, 4, 5, 9, 11], 5) {
        let count = 1 << log;
        let x = random_exts(1, 1)[0];
        let mut power = Ext::ONE;
        let natural: Vec<Ext> = std::iter::repeat_with(|| {
            let this = power;
            power *= x;
            this
        })
        .take(count)
        .collect();
        let natural = planes(&natural, count);
        let y = x.elems()[0];
        let natural_y: Vec<Elem> = (0..count).map(|exponent| y.pow(exponent)).collect();
        let natural_y = words_of(&natural_y);
        for isa in Isa::available() {
            let mut found = vec![0; 4 * count];
            powers(isa, &mut found, x, Order::Natural);
            assert_eq!(found, natural, "{}", isa.name());
            powers(isa, &mut found, x, Order::BitReversed);
            bit_reverse(isa, &mut found, count);
            assert_eq!(found, natural, "{}", isa.name());
            let mut found = vec![0; count];
            powers_into(isa, &mut found, y, Order::Natural);
            assert_eq!(found, natural_y, "{}", isa.name());
            powers_into(isa, &mut found, y, Order::BitReversed);
            bit_reverse(isa, &mut found, count);
            assert_eq!(found, natural_y, "{}", isa.name());
        }
    }
}

#[test]
fn columns_have_the_values_of_cpu_hal_in_either_order() {
    for log in sizes(&[0, 1, 4, 5, 6, 10, 11, 13], 6) {
        let rows = 1 << log;
        let mut coeffs = words(2, 5 * rows);
        let mut points = random_exts(3, 2);
        points.push(Ext::ZERO);
        points.push(Ext::ONE);
        let which = [0_u32, 0, 1, 4, 4, 4, 3, 2, 0];
        let xs: Vec<Ext> = (0..which.len()).map(|index| points[index * 7 % 4]).collect();

        let hal = hal();
        let out = hal.alloc_extelem("out", which.len());
        hal.batch_evaluate_any(
            &hal.copy_from_elem("coeffs", &elems(&coeffs)),
            5,
            &hal.copy_from_u32("which", &which),
            &hal.copy_from_extelem("xs", &xs),
            &out,
        );
        let expected = out.to_vec();
        let queries: Vec<Query> = which
            .iter()
            .zip(&xs)
            .map(|(column, x)| Query { column: *column as usize, x: *x })
            .collect();
        for isa in Isa::available() {
            let found = evaluate_at(isa, &coeffs, rows, &queries, Order::Natural);
            assert_eq!(found, expected, "natural, {rows} rows, {}", isa.name());
        }
        bit_reverse(Isa::Scalar, &mut coeffs, rows);
        for isa in Isa::available() {
            let found = evaluate_at(isa, &coeffs, rows, &queries, Order::BitReversed);
            assert_eq!(found, expected, "bit-reversed, {rows} rows, {}", isa.name());
        }
    }
}

#[test]
fn columns_mix_as_in_cpu_hal() {
    for log in sizes(&[0, 3, 4, 8, 10, 12], 4) {
        let rows = 1 << log;
        // Batches of one to four, more than one batch, and a combo without columns.
        let which = [0_u32, 1, 1, 3, 0, 3, 3, 4, 4, 4, 4, 4, 4, 4, 4, 0];
        let coeffs = words(4, which.len() * rows);
        let combos = exts(5, 5 * rows);
        let (start, mix) = (random_exts(6, 1)[0], random_exts(7, 1)[0]);

        let hal = hal();
        let out = hal.copy_from_extelem("combos", &combos);
        hal.mix_poly_coeffs(
            &out,
            &start,
            &mix,
            &hal.copy_from_elem("coeffs", &elems(&coeffs)),
            &hal.copy_from_u32("which", &which),
            which.len(),
            rows,
        );
        let expected = planes(&out.to_vec(), rows);
        for isa in Isa::available() {
            let mut found = planes(&combos, rows);
            mix_into(isa, &mut found, rows, &coeffs, &which, start, mix);
            assert_eq!(found, expected, "{rows} rows, {}", isa.name());
        }
    }
}

#[test]
#[cfg_attr(miri, ignore = "CpuHal asks a profiler")]
fn combos_are_prepared_as_in_cpu_hal() {
    let rows = 64;
    let combos = exts(8, 3 * rows);
    let (sizes, ids) = ([1, 3, 2], [0, 1, 1]);
    let coeff_u = random_exts(9, 6 + 16);
    let mix = random_exts(10, 1)[0];
    let hal = hal();
    let out = hal.copy_from_extelem("combos", &combos);
    hal.combos_prepare(&out, &coeff_u, 2, rows, &sizes, &ids, &mix);
    let mut found = planes(&combos, rows);
    combos_prepare(&mut found, rows, &coeff_u, &sizes, &ids, mix);
    assert_eq!(found, planes(&out.to_vec(), rows));
}

#[test]
fn quotient_and_remainder_are_those_of_risc_zero() {
    for log in sizes(&[0, 1, 3, 4, 6, 8, 9, 12], 8) {
        let rows = 1 << log;
        let polynomial = exts(11, rows);
        for z in [Ext::ZERO, Ext::ONE, random_exts(12, 1)[0]] {
            let mut quotient = polynomial.clone();
            let remainder = poly_divide(&mut quotient, z);
            for isa in Isa::available() {
                let mut found = planes(&polynomial, rows);
                assert_eq!(divide(isa, &mut found, z), remainder, "{rows} rows, {}", isa.name());
                assert_eq!(found, planes(&quotient, rows), "{rows} rows, {}", isa.name());
            }
        }
    }
}

/// `quotient` times `x - z` for every `z`; the top coefficients must be zero.
fn times_roots(quotient: &[Ext], points: &[Ext]) -> Vec<Ext> {
    let mut product = quotient.to_vec();
    for z in points {
        for row in (0..product.len()).rev() {
            let lower = if row == 0 { Ext::ZERO } else { product[row - 1] };
            product[row] = lower - product[row] * *z;
        }
    }
    product
}

#[test]
fn combos_divide_by_all_their_points() {
    let rows = 1 << 9;
    let points = [random_exts(13, 3), random_exts(14, 1)];
    let mut quotients = exts(15, 2 * rows);
    for quotient in quotients.chunks_exact_mut(rows) {
        quotient[rows - 3..].fill(Ext::ZERO);
    }
    let mut combos = Vec::new();
    for (quotient, points) in quotients.chunks_exact(rows).zip(&points) {
        combos.extend(times_roots(quotient, points));
    }
    for isa in Isa::available() {
        let mut found = planes(&combos, rows);
        combos_divide(isa, &mut found, rows, &points).unwrap();
        assert_eq!(found, planes(&quotients, rows), "{}", isa.name());

        let mut wrong = planes(&combos, rows);
        wrong[4 * rows] ^= 1;
        let error = combos_divide(isa, &mut wrong, rows, &points).unwrap_err();
        assert_eq!(error, NonZeroRemainder { combo: 1, point: points[1][0] });
    }
}

#[test]
fn combos_sum_up_as_in_cpu_hal() {
    for rows in sizes(&[1, 8, 16, 2048], 16) {
        let combos = exts(16, 6 * rows);
        let hal = hal();
        let out = hal.alloc_elem("out", 4 * rows);
        hal.eltwise_sum_extelem(&out, &hal.copy_from_extelem("combos", &combos));
        let expected = words_of(&out.to_vec());
        for isa in Isa::available() {
            let mut found = vec![0; 4 * rows];
            sum_planes(isa, &mut found, &planes(&combos, rows));
            assert_eq!(found, expected, "{rows} rows, {}", isa.name());
        }
    }
}

#[test]
fn polynomials_fold_as_in_cpu_hal() {
    for rows in sizes(&[1, 4, 16, 64, 2048], 16) {
        let coeffs = words(17, 4 * FOLD * rows);
        let mix = random_exts(18, 1)[0];
        let hal = hal();
        let out = hal.alloc_elem("out", 4 * rows);
        hal.fri_fold(&out, &hal.copy_from_elem("coeffs", &elems(&coeffs)), &mix);
        let expected = words_of(&out.to_vec());
        for isa in Isa::available() {
            let mut found = vec![0; 4 * rows];
            fri_fold(isa, &mut found, &coeffs, mix);
            assert_eq!(found, expected, "{rows} rows, {}", isa.name());
        }
    }
}

#[test]
fn a_row_is_a_word_of_each_column() {
    let mut row = [0; 3];
    gather_row(&mut row, &[1, 2, 3, 4, 5, 6], 2, 1);
    assert_eq!(row, [2, 4, 6]);
}

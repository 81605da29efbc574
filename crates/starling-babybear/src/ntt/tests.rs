//! Every transform against `CpuHal`, and vectors' exchanges of lanes against their definition.
#![allow(clippy::unwrap_used)]

use risc0_core::field::baby_bear::{BabyBear, BabyBearElem as Elem};
use risc0_zkp::core::hash::poseidon2::Poseidon2HashSuite;
use risc0_zkp::hal::cpu::CpuHal;
use risc0_zkp::hal::{Buffer as _, Hal};

use super::*;
use crate::testing::{edge_words, elems, random_words, sizes, words_of};
use crate::vector::P;

/// Rows on both sides of every limit: scalars, one block, a stage of one row or all.
const LOG_ROWS: &[usize] = &[0, 1, 2, 5, 6, 7, 10, 12, 13, 14, 16, 18];

/// Miri sees columns of less than a block.
const LOG_ROWS_IN_MIRI: usize = 7;

fn hal() -> CpuHal<BabyBear> {
    CpuHal::new(Poseidon2HashSuite::new_suite())
}

/// What `op` of `CpuHal` makes of `matrix`.
fn expected(
    matrix: &[u32],
    op: impl FnOnce(&CpuHal<BabyBear>, &<CpuHal<BabyBear> as Hal>::Buffer<Elem>),
) -> Vec<u32> {
    let hal = hal();
    let buffer = hal.copy_from_elem("matrix", &elems(matrix));
    op(&hal, &buffer);
    words_of(&buffer.to_vec())
}

/// A few columns at random, and one of edge values.
fn matrix(rows: usize) -> Vec<u32> {
    let mut matrix = random_words(rows as u64, 2 * rows);
    matrix.extend(edge_words(rows));
    matrix
}

fn assert_same(found: &[u32], expected: &[u32], what: &str, isa: Isa, rows: usize) {
    let differs = found.iter().zip(expected).position(|(found, expected)| found != expected);
    assert_eq!(differs, None, "{what} of {rows} rows on {}", isa.name());
    assert_eq!(found.len(), expected.len());
}

#[test]
fn interpolation_gives_the_coefficients_of_cpu_hal() {
    for log in sizes(LOG_ROWS, LOG_ROWS_IN_MIRI) {
        let matrix = matrix(1 << log);
        let expected = expected(&matrix, |hal, io| hal.batch_interpolate_ntt(io, 3));
        for isa in Isa::available() {
            let mut found = matrix.clone();
            interpolate(isa, &mut found, 1 << log);
            assert_same(&found, &expected, "interpolation", isa, 1 << log);
        }
    }
}

#[test]
fn interpolation_with_the_shift_is_both_one_after_the_other() {
    // CpuHal cannot shift a single row.
    for log in sizes(&LOG_ROWS[1..], LOG_ROWS_IN_MIRI) {
        let matrix = matrix(1 << log);
        let shifted = expected(&matrix, |hal, io| hal.zk_shift(io, 3));
        let both = expected(&matrix, |hal, io| {
            hal.batch_interpolate_ntt(io, 3);
            hal.zk_shift(io, 3);
        });
        for isa in Isa::available() {
            let mut found = matrix.clone();
            zk_shift(isa, &mut found, 1 << log);
            assert_same(&found, &shifted, "shift", isa, 1 << log);
            let mut found = matrix.clone();
            interpolate_shift(isa, &mut found, 1 << log);
            assert_same(&found, &both, "interpolation and shift", isa, 1 << log);
        }
    }
}

#[test]
fn expansion_gives_the_evaluations_of_cpu_hal() {
    for log in sizes(LOG_ROWS, LOG_ROWS_IN_MIRI) {
        for expand_bits in 0..=4 {
            if expand_bits != 2 && log > 14 {
                continue;
            }
            let rows = 1_usize << log;
            let coeffs = matrix(rows);
            let hal = hal();
            let out = hal.alloc_elem("out", coeffs.len() << expand_bits);
            let input = hal.copy_from_elem("coeffs", &elems(&coeffs));
            hal.batch_expand_into_evaluate_ntt(&out, &input, 3, expand_bits);
            let expected = words_of(&out.to_vec());
            for isa in Isa::available() {
                let mut found = vec![u32::MAX; coeffs.len() << expand_bits];
                expand_evaluate(isa, &mut found, &coeffs, rows, expand_bits as u32);
                assert_same(&found, &expected, "expansion", isa, rows);
            }
        }
    }
}

#[test]
#[cfg_attr(miri, ignore = "millions of rows")]
fn evaluations_past_the_caches_are_the_same() {
    // Two columns of this are written past the caches where they begin on a line's border.
    let rows = 1 << 18;
    let coeffs = random_words(3, 2 * rows);
    let mut buffer = vec![0; 2 * 4 * rows + 32];
    assert!(4 * coeffs.len() * size_of::<u32>() >= STREAMING_BYTES_MIN);
    let border = buffer.as_ptr().align_offset(tile::LINE_BYTES);
    for isa in Isa::available() {
        let mut expected = vec![0; 4 * coeffs.len()];
        for (out, coeffs) in expected.chunks_exact_mut(4 * rows).zip(coeffs.chunks_exact(rows)) {
            expand_evaluate(isa, &mut out[..], coeffs, rows, 2);
        }
        for start in [border, border + 4] {
            let found = &mut buffer[start..start + 4 * coeffs.len()];
            found.fill(u32::MAX);
            expand_evaluate(isa, found, &coeffs, rows, 2);
            assert_same(found, &expected, "expansion", isa, rows);
        }
    }
}

/// Where columns are known: all that there are.
const POINTS: [Points; 5] =
    [Points::Coset(0), Points::Coset(1), Points::Coset(2), Points::Coset(3), Points::Trace];

/// Each of [`POINTS`], and the next.
fn points_and_next() -> impl Iterator<Item = (Points, Points)> {
    POINTS.into_iter().zip(POINTS.into_iter().cycle().skip(1))
}

#[test]
#[cfg_attr(miri, ignore = "millions of rows")]
fn transforms_of_two_stages_agree_with_cpu_hal_at_all_points_and_in_place() {
    // From 2^21 rows on a second stage joins the blocks of the first. Segments of po2 21 and 22 have so many.
    let rows = 1 << 21;
    let trace = random_words(21, rows);
    let coeffs = expected(&trace, |hal, io| {
        hal.batch_interpolate_ntt(io, 1);
        hal.zk_shift(io, 1);
    });
    let hal = hal();
    let expansion = hal.alloc_elem("expansion", 4 * rows);
    let input = hal.copy_from_elem("coeffs", &elems(&coeffs));
    hal.batch_expand_into_evaluate_ntt(&expansion, &input, 1, 2);
    let expansion = words_of(&expansion.to_vec());
    let values = |points| match points {
        Points::Trace => trace.clone(),
        Points::Coset(coset) => expansion.iter().skip(coset).step_by(4).copied().collect(),
    };
    // In every part of a column, and several in one strip.
    let picks = [0, 1, 17, 4095, 4096, rows / 2 + 5, rows / 2 + 6, rows - 1];
    let wanted: Vec<_> = POINTS.iter().flat_map(|points| picks.map(|row| (*points, row))).collect();
    let samples: Vec<u32> =
        POINTS.iter().flat_map(|points| picks.map(|row| values(*points)[row])).collect();
    for isa in Isa::available() {
        let mut found = vec![u32::MAX; 4 * rows];
        expand_evaluate(isa, &mut found, &coeffs, rows, 2);
        assert_same(&found, &expansion, "expansion", isa, rows);
        for (points, next) in points_and_next() {
            let what = |what: &str| format!("{what} at {points:?}");
            let expected = values(points);
            let mut column = vec![u32::MAX; rows];
            evaluate_at(isa, &mut column, &coeffs, rows, points);
            assert_same(&column, &expected, &what("evaluation"), isa, rows);
            move_values(isa, &mut column, rows, points, next);
            assert_same(&column, &values(next), &what("move from values"), isa, rows);
            let mut column = expected.clone();
            interpolate_from(isa, &mut column, rows, points);
            assert_same(&column, &coeffs, &what("interpolation"), isa, rows);
            evaluate_in_place(isa, &mut column, rows, points);
            assert_same(&column, &expected, &what("evaluation in place"), isa, rows);
        }
        let mut found = vec![u32::MAX; wanted.len()];
        sample(isa, &mut found, &coeffs, rows, &wanted);
        assert_same(&found, &samples, "sample", isa, rows);
    }
}

#[test]
fn each_coset_is_every_fourth_row_of_the_expansion() {
    for log in sizes(LOG_ROWS, LOG_ROWS_IN_MIRI) {
        let rows = 1 << log;
        let coeffs = matrix(rows);
        for isa in Isa::available() {
            let mut whole = vec![0; 4 * coeffs.len()];
            expand_evaluate(isa, &mut whole, &coeffs, rows, 2);
            for coset in 0..4 {
                let mut found = vec![0; coeffs.len()];
                evaluate_coset(isa, &mut found, &coeffs, rows, coset);
                let expected: Vec<u32> = whole.iter().skip(coset).step_by(4).copied().collect();
                assert_same(&found, &expected, "coset", isa, rows);
            }
        }
    }
}

#[test]
fn values_move_between_the_trace_and_the_cosets_in_place() {
    for log in sizes(LOG_ROWS, LOG_ROWS_IN_MIRI) {
        let rows = 1 << log;
        let coeffs = matrix(rows);
        for isa in Isa::available() {
            let values = |points: Points| {
                let mut values = vec![u32::MAX; coeffs.len()];
                evaluate_at(isa, &mut values, &coeffs, rows, points);
                values
            };
            // A column of the trace is what interpolation with the shift was given.
            let mut shifted = values(Points::Trace);
            interpolate_shift(isa, &mut shifted, rows);
            assert_same(&shifted, &coeffs, "interpolation and shift", isa, rows);
            for (points, next) in points_and_next() {
                let expected = values(points);
                let mut matrix = coeffs.clone();
                evaluate_in_place(isa, &mut matrix, rows, points);
                assert_same(&matrix, &expected, "evaluation in place", isa, rows);
                move_values(isa, &mut matrix, rows, points, next);
                assert_same(&matrix, &values(next), "move", isa, rows);
                interpolate_from(isa, &mut matrix, rows, next);
                assert_same(&matrix, &coeffs, "interpolation", isa, rows);
            }
        }
    }
}

#[test]
fn a_sample_is_the_values_in_the_rows_that_were_asked_for() {
    let points = [Points::Coset(2), Points::Trace, Points::Coset(0)];
    for log in sizes(LOG_ROWS, LOG_ROWS_IN_MIRI) {
        let rows = 1 << log;
        let coeffs = matrix(rows);
        let wanted: Vec<(Points, usize)> = random_words(7, 60)
            .into_iter()
            .enumerate()
            .map(|(at, word)| (points[at % 3], word as usize % rows))
            .chain([(Points::Trace, 0), (Points::Trace, rows - 1), (Points::Trace, 0)])
            .collect();
        for isa in Isa::available() {
            let values = points.map(|points| {
                let mut values = vec![0; coeffs.len()];
                evaluate_at(isa, &mut values, &coeffs, rows, points);
                values
            });
            let mut expected = Vec::new();
            for column in 0..3 {
                for (of, row) in &wanted {
                    let index = points.iter().position(|points| points == of).unwrap();
                    expected.push(values[index][column * rows + row]);
                }
            }
            let mut found = vec![u32::MAX; expected.len()];
            sample(isa, &mut found, &coeffs, rows, &wanted);
            assert_same(&found, &expected, "sample", isa, rows);
        }
    }
}

#[test]
#[should_panic(expected = "there are 4")]
fn a_coset_that_is_not_there_is_refused() {
    move_values(Isa::Scalar, &mut [0; 4], 4, Points::Coset(4), Points::Trace);
}

#[test]
fn constant_columns_have_one_coefficient() {
    let rows = if cfg!(miri) { 1 << LOG_ROWS_IN_MIRI } else { 1 << 13 };
    for value in [0, 1, P - 1] {
        for isa in Isa::available() {
            let mut column = vec![value; rows];
            interpolate(isa, &mut column, rows);
            assert_eq!(column[0], value, "on {}", isa.name());
            assert!(column[1..].iter().all(|word| *word == 0), "on {}", isa.name());
        }
    }
}

#[test]
fn bit_reversal_permutes_as_cpu_hal_does() {
    for log in sizes(&LOG_ROWS[1..], LOG_ROWS_IN_MIRI) {
        let matrix = matrix(1 << log);
        let expected = expected(&matrix, |hal, io| hal.batch_bit_reverse(io, 3));
        for isa in Isa::available() {
            let mut found = matrix.clone();
            bit_reverse(isa, &mut found, 1 << log);
            assert_same(&found, &expected, "bit reversal", isa, 1 << log);
        }
    }
}

#[test]
fn a_word_that_is_no_element_counts_modulo_p_where_it_is_let_through() {
    for log in sizes(LOG_ROWS, LOG_ROWS_IN_MIRI) {
        let rows = 1 << log;
        let elements = matrix(rows);
        let mut words = elements.clone();
        // As in the stock prover's first rows: all ones, reduced as if they were a sum.
        let (first, reduced) = (u32::MAX - P, u32::MAX - 2 * P);
        words[rows] = first;
        for isa in Isa::available() {
            let (mut found, mut expected) = (words.clone(), elements.clone());
            expected[rows] = reduced;
            interpolate_shift_any(isa, &mut found, rows);
            interpolate_shift(isa, &mut expected, rows);
            assert_same(&found, &expected, "interpolation of any words", isa, rows);
        }
    }
}

#[cfg(debug_assertions)]
#[test]
#[should_panic(expected = "a word is not an element in Montgomery form")]
fn debug_builds_refuse_words_that_are_no_elements() {
    interpolate(Isa::Scalar, &mut [0, P], 2);
}

#[test]
#[should_panic(expected = "power of two")]
fn rows_that_are_no_power_of_two_are_refused() {
    interpolate(Isa::Scalar, &mut [0; 12], 12);
}

/// Two vectors, interleaved with blocks of `BLOCK`; one vector spread.
struct Exchange<'a, const BLOCK: usize> {
    left: &'a [u32],
    right: &'a [u32],
}

impl<const BLOCK: usize> Kernel for Exchange<'_, BLOCK> {
    type Output = (Vec<u32>, Vec<u32>);

    #[inline(always)]
    fn run<V: Vector>(self) -> Self::Output {
        let (a, b) = V::read(self.left, 0).interleave::<BLOCK>(V::read(self.right, 0));
        let mut interleaved = vec![0; 2 * V::LANES];
        a.write(&mut interleaved, 0);
        b.write(&mut interleaved, V::LANES);
        let mut spread = vec![0; 4 * V::LANES];
        for (index, part) in V::read(self.left, 0).spread().into_iter().enumerate() {
            part.write(&mut spread, index * V::LANES);
        }
        (interleaved, spread)
    }
}

fn check_exchange<const BLOCK: usize>() {
    let left: Vec<u32> = (0..16).collect();
    let right: Vec<u32> = (100..116).collect();
    for isa in Isa::available().filter(|isa| isa.lanes() > BLOCK) {
        let (interleaved, spread) = dispatch(isa, Exchange::<BLOCK> { left: &left, right: &right });
        let source = |second: bool, lane: usize| if second { right[lane] } else { left[lane] };
        for vector in 0..2 {
            for lane in 0..isa.lanes() {
                // Block `n` of the one is block `vector` of the pair that `n` is in, of the n-th operand.
                let odd = lane / BLOCK % 2;
                let expected = source(odd == 1, lane - odd * BLOCK + vector * BLOCK);
                assert_eq!(interleaved[vector * isa.lanes() + lane], expected, "{}", isa.name());
            }
        }
        let expected: Vec<u32> = (0..4 * isa.lanes()).map(|at| left[at / 4]).collect();
        assert_eq!(spread, expected, "{}", isa.name());
    }
}

#[test]
fn vectors_exchange_blocks_of_lanes() {
    check_exchange::<1>();
    check_exchange::<2>();
    check_exchange::<4>();
    check_exchange::<8>();
}

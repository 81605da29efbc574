#![allow(clippy::unwrap_used)]

use risc0_zkp::adapter::PolyExtStep;
use risc0_zkp::field::baby_bear::{BabyBearElem as Elem, BabyBearExtElem as Ext};
use risc0_zkp::field::{Elem as _, ExtElem as _};

use super::super::super::bytecode::{DecodeError, Sums};
use super::super::tests::{listing, results};
use super::super::{CompileError, compile_sums};

/// The first tap of elements.
const CARRY: usize = 0;
const FIRST: usize = 4;
const TOTAL: usize = 8;
/// Other taps.
const VALUE: usize = 12;
const COUNT: usize = 13;
const SELECTOR: usize = 14;

/// A list in the making.
#[derive(Default)]
struct List {
    steps: Vec<PolyExtStep>,
    values: usize,
    states: usize,
}

impl List {
    fn value(&mut self, step: PolyExtStep) -> usize {
        self.steps.push(step);
        self.values += 1;
        self.values - 1
    }

    fn state(&mut self, step: PolyExtStep) -> usize {
        self.steps.push(step);
        self.states += 1;
        self.states - 1
    }

    /// The element whose coordinates are the taps from `first` on.
    fn element(&mut self, first: usize) -> usize {
        let mut sum = self.value(PolyExtStep::Get(first));
        for coordinate in 1..4 {
            let mut words = [0; 4];
            words[coordinate] = 1;
            let [a, b, c, d] = words;
            let power = self.value(PolyExtStep::ConstExt(a, b, c, d));
            let tap = self.value(PolyExtStep::Get(first + coordinate));
            let product = self.value(PolyExtStep::Mul(tap, power));
            sum = self.value(PolyExtStep::Add(sum, product));
        }
        sum
    }

    fn difference(&mut self, this: usize, previous: usize) -> usize {
        let (this, previous) = (self.element(this), self.element(previous));
        self.value(PolyExtStep::Sub(this, previous))
    }

    /// A state, and that `this - previous` is the fraction `COUNT / (VALUE * global 0 + global 1)` of extension elements.
    fn fraction(&mut self, state: usize, this: usize, previous: usize) -> usize {
        let difference = self.difference(this, previous);
        let challenge = self.value(PolyExtStep::ConstExt(5, 6, 7, 8));
        let global = self.value(PolyExtStep::GetGlobal(0, 0));
        let value = self.value(PolyExtStep::Get(VALUE));
        let challenge = self.value(PolyExtStep::Mul(challenge, global));
        let product = self.value(PolyExtStep::Mul(challenge, value));
        let offset = self.value(PolyExtStep::GetGlobal(1, 0));
        let divisor = self.value(PolyExtStep::Add(product, offset));
        let multiple = self.value(PolyExtStep::Mul(difference, divisor));
        let count = self.value(PolyExtStep::Get(COUNT));
        let rest = self.value(PolyExtStep::Sub(multiple, count));
        self.state(PolyExtStep::AndEqz(state, rest))
    }

    /// A state, and that `this` is `previous`.
    fn repetition(&mut self, state: usize, this: usize, previous: usize) -> usize {
        let difference = self.difference(this, previous);
        self.state(PolyExtStep::AndEqz(state, difference))
    }

    fn truth(&mut self) -> usize {
        self.state(PolyExtStep::True)
    }

    /// `outer`, and `inner` where the selector is not zero.
    fn guard(&mut self, outer: usize, inner: usize) -> usize {
        let selector = self.value(PolyExtStep::Get(SELECTOR));
        self.state(PolyExtStep::AndCond(outer, selector, inner))
    }

    fn compile(&self, result: usize) -> Result<Sums, CompileError> {
        compile_sums(&listing(&self.steps, result))
    }
}

/// A list with one arm: a fraction, and the total.
fn one_arm() -> Sums {
    let mut list = List::default();
    let truth = list.truth();
    let inner = list.fraction(truth, FIRST, CARRY);
    let inner = list.repetition(inner, TOTAL, FIRST);
    let result = list.guard(truth, inner);
    list.compile(result).unwrap()
}

fn taps(first: usize) -> [u32; 4] {
    std::array::from_fn(|at| (first + at) as u32)
}

#[test]
fn an_arm_is_found_with_its_divisors_and_dividends() {
    let sums = one_arm();
    assert_eq!((sums.carry, sums.total), (taps(CARRY), taps(TOTAL)));
    let [arm] = sums.arms.as_slice() else { panic!("one arm") };
    assert_eq!(arm.selector as usize, SELECTOR);
    assert_eq!(arm.targets, [taps(FIRST)]);

    let taps: Vec<Elem> = (0..15).map(|at| Elem::new(1000 + at)).collect();
    let globals = [[Elem::new(77)], [Elem::new(99)]];
    let globals = globals.each_ref().map(<[Elem; 1]>::as_slice);
    let values = results(&arm.code, Ext::ONE, &taps, &globals);
    let challenge = Ext::new(Elem::new(5), Elem::new(6), Elem::new(7), Elem::new(8));
    let divisor = challenge * Elem::new(77) * taps[VALUE] + Ext::from(Elem::new(99));
    let dividend = Ext::from(taps[COUNT]);
    assert_eq!(values, [divisor.subelems(), dividend.subelems()].concat());
}

#[test]
fn what_is_no_running_sum_under_a_condition_is_no_arm() {
    let mut list = List::default();
    let truth = list.truth();
    let other = list.value(PolyExtStep::Get(VALUE));
    let inner = list.fraction(truth, FIRST, CARRY);
    let inner = list.state(PolyExtStep::AndEqz(inner, other));
    let result = list.guard(truth, inner);
    assert_eq!(list.compile(result), Err(CompileError::NoSums));
}

#[test]
fn sums_that_leave_columns_out_or_end_apart_are_errors() {
    let mut list = List::default();
    let truth = list.truth();
    let inner = list.fraction(truth, FIRST, CARRY);
    let inner = list.fraction(inner, TOTAL, CARRY);
    let result = list.guard(truth, inner);
    let error = list.compile(result).unwrap_err();
    assert_eq!(error.to_string(), "the running sums under a condition leave a column out");

    let mut list = List::default();
    let truth = list.truth();
    let one = list.fraction(truth, FIRST, CARRY);
    let other = list.fraction(truth, TOTAL, CARRY);
    let result = list.guard(truth, one);
    let result = list.guard(result, other);
    let error = list.compile(result).unwrap_err();
    let expected = "the running sums under a condition begin or end in other columns than others";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn sums_are_what_they_were_encoded_from_and_nothing_less_decodes() {
    let sums = one_arm();
    let bytes = sums.encode();
    assert_eq!(Sums::decode(&bytes), Ok(sums));
    for end in (0..bytes.len()).step_by(4) {
        assert_eq!(Sums::decode(&bytes[..end]), Err(DecodeError::Truncated));
    }
    let longer = [&bytes[..], &[0; 4]].concat();
    assert_eq!(Sums::decode(&longer), Err(DecodeError::Trailing));
}

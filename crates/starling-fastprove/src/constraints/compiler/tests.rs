#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use risc0_zkp::adapter::{PolyExtStep, PolyExtStepDef};
use risc0_zkp::field::baby_bear::{BabyBear, BabyBearElem as Elem, BabyBearExtElem as Ext};
use risc0_zkp::field::{Elem as _, ExtElem as _};

use super::super::bytecode::{COORDINATES, DecodeError, Op, Operand};
use super::*;

/// Taps and globals that random programs refer to.
const TAPS: usize = 5;
const GLOBALS: [usize; 2] = [3, 2];

/// A list in the published form.
pub(super) fn listing(steps: &[PolyExtStep], result: usize) -> String {
    let steps: String =
        steps.iter().map(|step| format!("PolyExtStep::{step:?}, // loc(unknown)\n")).collect();
    format!(
        "// A comment.\nuse risc0_zkp::adapter::PolyExtStepDef;\n\npub const DEF: PolyExtStepDef = \
         PolyExtStepDef {{\n    block: &[{steps}],\n    ret: {result},\n}};\n\nfn poly_ext() {{\n    \
         DEF.step::<BabyBear>(mix, u, args)\n}}\n"
    )
}

/// The mix that the program gives.
fn run(code: &Code, challenge: Ext, taps: &[Elem], globals: &[&[Elem]]) -> Ext {
    Ext::from_subelems(results(code, challenge, taps, globals))
}

/// What the program gives, operation by operation.
pub(super) fn results(
    code: &Code,
    challenge: Ext,
    taps: &[Elem],
    globals: &[&[Elem]],
) -> Vec<Elem> {
    let mut slots = vec![Elem::ZERO; code.slots as usize];
    let read = |slots: &[Elem], operand: Operand| match operand {
        Operand::Slot(slot) => slots[slot as usize],
        Operand::Tap(tap) => taps[tap as usize],
        Operand::Global { argument, offset } => globals[argument as usize][offset as usize],
    };
    let x = Ext::new(Elem::ZERO, Elem::ONE, Elem::ZERO, Elem::ZERO);
    for op in &code.ops {
        match op {
            Op::Dot(dot) => {
                let mut value = Elem::new(dot.constant);
                for &(left, right) in &dot.products {
                    value += read(&slots, left) * read(&slots, right);
                }
                for &(left, right) in &dot.minus_products {
                    value -= read(&slots, left) * read(&slots, right);
                }
                for &(factor, column) in &dot.scaled {
                    value += Elem::new(factor) * read(&slots, column);
                }
                for &column in &dot.plus {
                    value += read(&slots, column);
                }
                for &column in &dot.minus {
                    value -= read(&slots, column);
                }
                slots[dot.target as usize] = value;
            }
            Op::Mix(mix) => {
                let mut value = Ext::ZERO;
                for &(column, weight) in &mix.terms {
                    for &(factor, power) in &code.weights[weight as usize] {
                        value += challenge.pow(power.exponent as usize)
                            * x.pow(power.coordinate as usize)
                            * Elem::new(factor)
                            * read(&slots, column);
                    }
                }
                for (target, coordinate) in mix.targets.iter().zip(value.elems()) {
                    slots[*target as usize] = *coordinate;
                }
            }
        }
    }
    code.roots.iter().map(|root| read(&slots, *root)).collect()
}

/// A step out of random numbers, if it can refer to anything; the numbers of values and states so far go along, and
/// which of the values are extension field elements.
fn step(kind: u8, numbers: [u32; 4], extension: &mut Vec<bool>, states: &mut usize) -> PolyExtStep {
    let values = extension.len();
    let [a, b, c, _] = numbers.map(|number| number as usize);
    let value = |number: usize| number % values.max(1);
    let base: Vec<usize> = (0..values).filter(|&value| !extension[value]).collect();
    let state = |number: usize, states: usize| number % states.max(1);
    match kind {
        _ if *states == 0 => {
            *states = 1;
            PolyExtStep::True
        }
        0..=1 => {
            extension.push(false);
            // Zero, one and minus one are what simplifications are about.
            PolyExtStep::Const([0, 1, 2, MODULUS - 1, numbers[0] % MODULUS][b % 5])
        }
        2 => {
            extension.push(true);
            let [x0, x1, x2, x3] = numbers.map(|number| number % MODULUS);
            PolyExtStep::ConstExt(x0, x1.max(1), x2, x3)
        }
        3 => {
            extension.push(false);
            PolyExtStep::GetGlobal(a % 2, b % GLOBALS[a % 2])
        }
        4..=6 => {
            extension.push(false);
            PolyExtStep::Get(a % TAPS)
        }
        _ if base.is_empty() => {
            *states += 1;
            PolyExtStep::True
        }
        7..=14 => {
            let (a, b) = (value(a), value(b));
            extension.push(extension[a] || extension[b]);
            match kind {
                7..=9 => PolyExtStep::Add(a, b),
                10..=11 => PolyExtStep::Sub(a, b),
                _ => PolyExtStep::Mul(a, b),
            }
        }
        15..=18 => {
            *states += 1;
            PolyExtStep::AndEqz(state(a, *states - 1), value(b))
        }
        _ => {
            *states += 1;
            let inner = state(c, *states - 1);
            PolyExtStep::AndCond(state(a, *states - 1), base[b % base.len()], inner)
        }
    }
}

fn element() -> impl Strategy<Value = Elem> {
    (0..MODULUS).prop_map(Elem::new)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_compiled_list_gives_what_the_verifier_makes_of_it(
        numbers in prop::collection::vec((0u8..21, any::<[u32; 4]>()), 1..90),
        taps in prop::collection::vec(element(), TAPS),
        first in prop::collection::vec(element(), GLOBALS[0]),
        second in prop::collection::vec(element(), GLOBALS[1]),
        challenge in prop::array::uniform4(element()),
    ) {
        let (mut extension, mut states) = (Vec::new(), 0);
        let steps: Vec<PolyExtStep> = numbers
            .into_iter()
            .map(|(kind, numbers)| step(kind, numbers, &mut extension, &mut states))
            .collect();
        let code = compile(&listing(&steps, states - 1)).unwrap();
        prop_assert_eq!(&Code::decode(&code.encode()).unwrap(), &code);

        let challenge = Ext::from_subelems(challenge);
        let globals = [&first[..], &second[..]];
        let values: Vec<Ext> = taps.iter().map(|tap| Ext::from(*tap)).collect();
        let list = PolyExtStepDef { block: Box::leak(steps.into_boxed_slice()), ret: states - 1 };
        let expected = list.step::<BabyBear>(&challenge, &values, &globals).tot;
        prop_assert_eq!(run(&code, challenge, &taps, &globals), expected);
    }

    #[test]
    fn no_bytes_make_the_decoder_panic(words in prop::collection::vec(0u32..8, 0..60)) {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        if let Ok(code) = Code::decode(&bytes) {
            prop_assert_eq!(code.encode(), bytes);
        }
    }
}

/// A list of all kinds of steps.
fn sample() -> String {
    listing(
        &[
            PolyExtStep::True,
            PolyExtStep::Get(0),
            PolyExtStep::Const(7),
            PolyExtStep::Mul(0, 0),
            PolyExtStep::Sub(2, 1),
            PolyExtStep::AndEqz(0, 3),
            PolyExtStep::AndCond(0, 0, 1),
        ],
        2,
    )
}

#[test]
fn truncated_bytecode_is_refused_wherever_it_ends() {
    let bytes = compile(&sample()).unwrap().encode();
    for length in 0..bytes.len() {
        let error = Code::decode(&bytes[..length]).unwrap_err();
        let expected =
            if length % 4 == 0 { DecodeError::Truncated } else { DecodeError::PartialWord };
        assert_eq!(error, expected, "{length} of {} bytes", bytes.len());
    }
    let longer = [&bytes[..], &[0; 4]].concat();
    assert_eq!(Code::decode(&longer), Err(DecodeError::Trailing));
}

#[test]
fn compiling_twice_gives_the_same_bytes() {
    let [first, second] = [(); 2].map(|()| compile(&sample()).unwrap().encode());
    assert_eq!(first, second);
}

#[test]
fn text_of_another_form_is_an_error_that_says_where() {
    let sample = sample();
    let mended = |from: &str, to: &str| {
        assert_eq!(sample.matches(from).count(), 1, "{from} is once in the sample");
        compile(&sample.replace(from, to)).unwrap_err().to_string()
    };
    for (from, to, expected) in [
        (
            "Sub(2, 1)",
            "Div(2, 1)",
            "line 9: unknown step `Div`: teach it to the constraint compiler",
        ),
        ("Sub(2, 1)", "Sub(2)", "line 9: expected `,`, found `), // loc(unknown)`"),
        (
            "Sub(2, 1)",
            "Sub(2, x)",
            "line 9: expected a number of 32 bits, found `x), // loc(unknown)`",
        ),
        (
            "Sub(2, 1)",
            "Sub(2, 4294967296)",
            "line 9: expected a number of 32 bits, found `4294967296), // loc(unknown)`",
        ),
        ("Sub(2, 1)", "Sub(2, 3)", "line 9: value 3 is used, but only 3 are defined before"),
        ("AndEqz(0, 3)", "AndEqz(1, 3)", "line 10: state 1 is used, but only 1 are defined before"),
        ("ret: 2", "ret: 3", "line 13: state 3 is used, but only 3 are defined before"),
        (
            "Const(7)",
            "Const(2013265921)",
            "line 7: the constant 2013265921 is not below the field's modulus",
        ),
        (
            "PolyExtStep::Mul(0, 0)",
            "Mul(0, 0)",
            "line 8: expected `PolyExtStep`, found `Mul(0, 0), // loc(unknown)`",
        ),
        (
            "block: &[",
            "block: [",
            "line 5: expected `&`, found `[PolyExtStep::True, // loc(unknown)`",
        ),
        ("ret: 2,\n};", "ret: 2,\n} + 1;", "line 14: expected `;`, found `+ 1;`"),
        (
            "DEF.step::<BabyBear>(mix, u, args)",
            "DEF.step::<BabyBear>(u, mix, args)",
            "expected `DEF.step::<BabyBear>(mix, u, args)` once, found it 0 times",
        ),
    ] {
        assert_eq!(mended(from, to), expected);
    }
}

#[test]
fn a_condition_in_the_extension_field_is_an_error() {
    let steps = [
        PolyExtStep::True,
        PolyExtStep::ConstExt(0, 1, 0, 0),
        PolyExtStep::AndEqz(0, 0),
        PolyExtStep::AndCond(0, 0, 1),
    ];
    assert_eq!(compile(&listing(&steps, 2)), Err(CompileError::ExtensionCondition { line: 8 }));
}

#[test]
fn constraints_counted_beyond_the_exponents_are_an_error() {
    // Each step doubles the count.
    let mut steps = vec![PolyExtStep::Const(0), PolyExtStep::True, PolyExtStep::AndEqz(0, 0)];
    steps.extend((1..33).map(|state| PolyExtStep::AndCond(state, 0, state)));
    assert_eq!(compile(&listing(&steps, 33)), Err(CompileError::Exponent { line: 39 }));
}

#[test]
fn a_linear_map_leaves_one_term_for_each_value() {
    // Rounds of Poseidon2's kind, over the taps: every element becomes a multiple of itself plus the sum of all. What the
    // elements are after each round is constrained.
    let mut steps: Vec<PolyExtStep> = (0..TAPS).map(PolyExtStep::Get).collect();
    steps.push(PolyExtStep::Const(3));
    let factor = steps.len() - 1;
    let mut elements: Vec<usize> = (0..TAPS).collect();
    let mut values = steps.len();
    let mut push = |steps: &mut Vec<PolyExtStep>, step| {
        steps.push(step);
        values += 1;
        values - 1
    };
    let mut constrained = Vec::new();
    for _ in 0..6 {
        let mut sum = elements[0];
        for element in &elements[1..] {
            sum = push(&mut steps, PolyExtStep::Add(sum, *element));
        }
        for element in &mut elements {
            let multiple = push(&mut steps, PolyExtStep::Mul(factor, *element));
            *element = push(&mut steps, PolyExtStep::Add(multiple, sum));
        }
        constrained.extend(&elements);
    }
    steps.push(PolyExtStep::True);
    let constraints = constrained.iter().enumerate();
    steps.extend(constraints.map(|(state, value)| PolyExtStep::AndEqz(state, *value)));

    let code = compile(&listing(&steps, constrained.len())).unwrap();
    let [Op::Mix(mix)] = &code.ops[..] else { panic!("not just a mix: {:?}", code.ops) };
    assert_eq!(mix.terms.len(), TAPS);

    let taps = [2, 3, 5, 7, MODULUS - 1].map(Elem::new);
    let challenge = Ext::new(Elem::new(11), Elem::new(13), Elem::new(17), Elem::new(19));
    let list =
        PolyExtStepDef { block: Box::leak(steps.into_boxed_slice()), ret: constrained.len() };
    let expected = list.step::<BabyBear>(&challenge, &taps.map(Ext::from), &[]).tot;
    assert_eq!(run(&code, challenge, &taps, &[]), expected);
}

#[test]
fn a_shared_state_is_mixed_once() {
    let mut steps = vec![PolyExtStep::True, PolyExtStep::Get(0), PolyExtStep::Get(1)];
    steps.extend((0..10).map(|state| PolyExtStep::AndEqz(state, 0)));
    // Ten constraints under each of four conditions.
    steps.push(PolyExtStep::AndCond(0, 1, 10));
    steps.extend((11..14).map(|state| PolyExtStep::AndCond(state, 1, 10)));
    let code = compile(&listing(&steps, 14)).unwrap();
    let terms = code.ops.iter().map(|op| match op {
        Op::Mix(mix) => mix.terms.len(),
        Op::Dot(_) => 0,
    });
    assert_eq!(terms.sum::<usize>(), 10 + 4);
    assert_eq!(code.roots.len(), COORDINATES);
}

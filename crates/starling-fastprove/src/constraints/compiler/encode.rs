//! Writes programs as bytes.

use super::super::bytecode::{
    ARGUMENT_BITS, Code, Dot, KIND_GLOBAL, KIND_SHIFT, KIND_SLOT, KIND_TAP, Mix, OFFSET_SHIFT, Op,
    Operand, Sums, TAG_DOT, TAG_MIX,
};

impl Code {
    /// The program as bytes, for [`Code::decode`].
    ///
    /// # Panics
    ///
    /// When an index is too large for its field, which takes a circuit of millions of columns.
    pub fn encode(&self) -> Vec<u8> {
        let mut words = Vec::new();
        self.write(&mut words);
        bytes(&words)
    }

    fn write(&self, words: &mut Vec<u32>) {
        words.extend([self.slots, self.weights.len() as u32]);
        for weight in &self.weights {
            words.push(weight.len() as u32);
            for (factor, power) in weight {
                words.extend([*factor, power.exponent, power.coordinate]);
            }
        }
        words.push(self.roots.len() as u32);
        words.extend(self.roots.iter().copied().map(encode_operand));
        words.push(self.ops.len() as u32);
        for op in &self.ops {
            match op {
                Op::Dot(dot) => encode_dot(dot, words),
                Op::Mix(mix) => encode_mix(mix, words),
            }
        }
    }
}

impl Sums {
    /// The sums as bytes, for [`Sums::decode`].
    ///
    /// # Panics
    ///
    /// As [`Code::encode`].
    pub fn encode(&self) -> Vec<u8> {
        let mut words = Vec::new();
        words.extend(self.carry);
        words.extend(self.total);
        words.push(self.arms.len() as u32);
        for arm in &self.arms {
            words.extend([arm.selector, arm.targets.len() as u32]);
            words.extend(arm.targets.iter().flatten());
            arm.code.write(&mut words);
        }
        bytes(&words)
    }
}

fn bytes(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn encode_operand(operand: Operand) -> u32 {
    match operand {
        Operand::Slot(slot) => {
            assert!(slot >> KIND_SHIFT == 0, "slot {slot} is too large to encode");
            KIND_SLOT << KIND_SHIFT | slot
        }
        Operand::Tap(tap) => {
            assert!(tap >> KIND_SHIFT == 0, "tap {tap} is too large to encode");
            KIND_TAP << KIND_SHIFT | tap
        }
        Operand::Global { argument, offset } => {
            assert!(
                argument >> ARGUMENT_BITS == 0,
                "list of globals {argument} is too large to encode"
            );
            assert!(offset >> OFFSET_SHIFT == 0, "global {offset} is too large to encode");
            KIND_GLOBAL << KIND_SHIFT | argument << OFFSET_SHIFT | offset
        }
    }
}

fn encode_dot(dot: &Dot, words: &mut Vec<u32>) {
    words.extend([TAG_DOT, dot.target, dot.constant]);
    for products in [&dot.products, &dot.minus_products] {
        words.push(products.len() as u32);
        words.extend(
            products
                .iter()
                .flat_map(|(left, right)| [encode_operand(*left), encode_operand(*right)]),
        );
    }
    words.push(dot.scaled.len() as u32);
    words.extend(dot.scaled.iter().flat_map(|(factor, column)| [*factor, encode_operand(*column)]));
    for columns in [&dot.plus, &dot.minus] {
        words.push(columns.len() as u32);
        words.extend(columns.iter().map(|column| encode_operand(*column)));
    }
}

fn encode_mix(mix: &Mix, words: &mut Vec<u32>) {
    words.push(TAG_MIX);
    words.extend(mix.targets);
    words.push(mix.terms.len() as u32);
    words.extend(mix.terms.iter().flat_map(|(column, power)| [encode_operand(*column), *power]));
}

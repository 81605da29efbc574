//! The form in which constraints pass from the build script to the prover.
//!
//! A program is straight-line code over *columns*: blocks of as many rows as the evaluator likes, one base field
//! element a row. It reads taps and globals, writes slots, and leaves what it computes in its roots: of constraints the
//! four coordinates of their mix, of running sums ([`Sums`]) divisors and dividends. There are two operations: [`Dot`], a sum of products, and [`Mix`], which adds columns times weights
//! that come from the mixing challenge. Bytes are little-endian 32-bit words; what writes them is in the compiler.

/// The degree of the extension field: a mixed value has this many coordinates.
pub const COORDINATES: usize = 4;

/// A column that an operation reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operand {
    /// What an earlier operation wrote.
    Slot(u32),
    /// The circuit's tap of this index.
    Tap(u32),
    /// Word `offset` of the `argument`-th list of globals, the same in every row.
    Global {
        /// Which list.
        argument: u32,
        /// Where in the list.
        offset: u32,
    },
}

/// `target = sum of products - sum of minus_products + sum of factor * column + sum of plus - sum of minus + constant`.
///
/// Factors and the constant are integers below the modulus.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dot {
    /// Products that are added.
    pub products: Vec<(Operand, Operand)>,
    /// Products that are taken off.
    pub minus_products: Vec<(Operand, Operand)>,
    /// Constant multiples that are added.
    pub scaled: Vec<(u32, Operand)>,
    /// Columns that are added.
    pub plus: Vec<Operand>,
    /// Columns that are taken off.
    pub minus: Vec<Operand>,
    /// What is added in every row.
    pub constant: u32,
    /// The slot that is written.
    pub target: u32,
}

/// The four coordinates of `sum of column * weight`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mix {
    /// Columns, each with the index of a weight in [`Code::weights`].
    pub terms: Vec<(Operand, u32)>,
    /// The slots that are written.
    pub targets: [u32; COORDINATES],
}

/// One operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// A sum of products of columns.
    Dot(Dot),
    /// A sum of columns times weights.
    Mix(Mix),
}

/// `x^coordinate * challenge^exponent`, where x generates the extension field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Power {
    /// The exponent of the mixing challenge.
    pub exponent: u32,
    /// The exponent of x.
    pub coordinate: u32,
}

/// A sum of powers with factors.
pub type Weight = Vec<(u32, Power)>;

/// A whole program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Code {
    /// How many slots the operations use.
    pub slots: u32,
    /// The weights that [`Mix`] refers to.
    pub weights: Vec<Weight>,
    /// The operations, in order.
    pub ops: Vec<Op>,
    /// Where the result is when all have run.
    pub roots: Vec<Operand>,
}

/// The running sums that the accumulator columns hold, which go through a row's columns and on to the next row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sums {
    /// The taps of the sum's coordinates before a row: the row before has them in its total.
    pub carry: [u32; COORDINATES],
    /// The taps of the sum's coordinates after a row.
    pub total: [u32; COORDINATES],
    /// What rows may add.
    pub arms: Vec<Arm>,
}

/// What rows of one kind add to a running sum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arm {
    /// The tap that is not zero in such rows.
    pub selector: u32,
    /// The taps that hold the coordinates of the sum after each quotient was added, in order.
    pub targets: Vec<[u32; COORDINATES]>,
    /// For each of them the roots are the divisor's coordinates, then the dividend's.
    pub code: Code,
}

/// Why words are not a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// The bytes are not a whole number of words.
    PartialWord,
    /// The words end inside of something.
    Truncated,
    /// There is more after the last operation.
    Trailing,
    /// The word names no operation and no kind of operand.
    UnknownTag(u32),
}

impl std::fmt::Display for DecodeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::PartialWord => {
                write!(f, "constraint bytecode is not a whole number of 32-bit words")
            }
            Self::Truncated => write!(f, "constraint bytecode ends inside of an operation"),
            Self::Trailing => write!(f, "constraint bytecode goes on after its last operation"),
            Self::UnknownTag(word) => {
                write!(f, "constraint bytecode has the unknown tag {word:#x}")
            }
        }
    }
}

impl std::error::Error for DecodeError {}

/// The two highest bits of an operand tell its kind; a global has its list in the [`ARGUMENT_BITS`] below.
pub const KIND_SHIFT: u32 = 30;
/// The kind of [`Operand::Slot`].
pub const KIND_SLOT: u32 = 0;
/// The kind of [`Operand::Tap`].
pub const KIND_TAP: u32 = 1;
/// The kind of [`Operand::Global`].
pub const KIND_GLOBAL: u32 = 2;
/// Circuits have two lists of globals; 64 are room enough, and leave 2^24 offsets.
pub const ARGUMENT_BITS: u32 = 6;
/// Where a global's list is, above its offset.
pub const OFFSET_SHIFT: u32 = KIND_SHIFT - ARGUMENT_BITS;

/// Begins a [`Dot`].
pub const TAG_DOT: u32 = 1;
/// Begins a [`Mix`].
pub const TAG_MIX: u32 = 2;

impl Operand {
    fn decode(word: u32) -> Result<Self, DecodeError> {
        let value = word & ((1 << KIND_SHIFT) - 1);
        match word >> KIND_SHIFT {
            KIND_SLOT => Ok(Self::Slot(value)),
            KIND_TAP => Ok(Self::Tap(value)),
            KIND_GLOBAL => Ok(Self::Global {
                argument: value >> OFFSET_SHIFT,
                offset: value & ((1 << OFFSET_SHIFT) - 1),
            }),
            _ => Err(DecodeError::UnknownTag(word)),
        }
    }
}

impl Code {
    /// The program that was encoded as `bytes`.
    ///
    /// # Errors
    ///
    /// When the bytes have another form. Indices are not checked: that takes the circuit.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        Reader::whole(bytes, Self::read)
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let slots = reader.word()?;
        let power = |reader: &mut Reader<'_>| {
            let factor = reader.word()?;
            Ok((factor, Power { exponent: reader.word()?, coordinate: reader.word()? }))
        };
        let weights = reader.list(|reader| reader.list(power))?;
        let roots = reader.list(Reader::operand)?;
        let ops = reader.list(|reader| match reader.word()? {
            TAG_DOT => Ok(Op::Dot(Dot::decode(reader)?)),
            TAG_MIX => Ok(Op::Mix(Mix::decode(reader)?)),
            tag => Err(DecodeError::UnknownTag(tag)),
        })?;
        Ok(Self { slots, weights, ops, roots })
    }
}

impl Sums {
    /// The sums that were encoded as `bytes`.
    ///
    /// # Errors
    ///
    /// As for [`Code::decode`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        Reader::whole(bytes, |reader| {
            Ok(Self {
                carry: reader.four(Reader::word)?,
                total: reader.four(Reader::word)?,
                arms: reader.list(|reader| {
                    Ok(Arm {
                        selector: reader.word()?,
                        targets: reader.list(|reader| reader.four(Reader::word))?,
                        code: Code::read(reader)?,
                    })
                })?,
            })
        })
    }
}

impl Dot {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let product = |reader: &mut Reader<'_>| Ok((reader.operand()?, reader.operand()?));
        Ok(Self {
            target: reader.word()?,
            constant: reader.word()?,
            products: reader.list(product)?,
            minus_products: reader.list(product)?,
            scaled: reader.list(|reader| Ok((reader.word()?, reader.operand()?)))?,
            plus: reader.list(Reader::operand)?,
            minus: reader.list(Reader::operand)?,
        })
    }
}

impl Mix {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            targets: reader.four(Reader::word)?,
            terms: reader.list(|reader| Ok((reader.operand()?, reader.word()?)))?,
        })
    }
}

/// The words that are left to decode.
struct Reader<'a> {
    words: &'a [[u8; 4]],
}

impl<'a> Reader<'a> {
    /// What `read` makes of all of `bytes`.
    fn whole<T>(
        bytes: &'a [u8],
        read: impl FnOnce(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<T, DecodeError> {
        let (words, rest) = bytes.as_chunks::<4>();
        if !rest.is_empty() {
            return Err(DecodeError::PartialWord);
        }
        let mut reader = Self { words };
        let value = read(&mut reader)?;
        if reader.words.is_empty() { Ok(value) } else { Err(DecodeError::Trailing) }
    }

    fn word(&mut self) -> Result<u32, DecodeError> {
        let (word, rest) = self.words.split_first().ok_or(DecodeError::Truncated)?;
        self.words = rest;
        Ok(u32::from_le_bytes(*word))
    }

    fn operand(&mut self) -> Result<Operand, DecodeError> {
        Operand::decode(self.word()?)
    }

    fn four<T: Copy>(
        &mut self,
        mut read: impl FnMut(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<[T; COORDINATES], DecodeError> {
        Ok([read(self)?, read(self)?, read(self)?, read(self)?])
    }

    /// A count, and as many items; every item takes a word at least, so that a count cannot ask for more memory than
    /// the words could fill.
    fn list<T>(
        &mut self,
        mut read: impl FnMut(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Vec<T>, DecodeError> {
        let count = self.word()? as usize;
        if count > self.words.len() {
            return Err(DecodeError::Truncated);
        }
        (0..count).map(|_| read(self)).collect()
    }
}

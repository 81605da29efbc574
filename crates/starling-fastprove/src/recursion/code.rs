//! The code of recursion programs. The caller hands it in: this crate has none of it, and reads no file.

use std::fmt::{self, Display};

use risc0_zkp::field::baby_bear::BabyBearElem as Elem;

use super::program::{ProgramError, ProgramId};

/// The binary logarithm of the rows that RISC Zero's verifiers expect a recursion program's trace to have.
pub const RECURSION_PO2: usize = 18;

/// A program's code: its control columns, row after row.
#[derive(Clone, Debug)]
pub struct Code {
    pub(crate) cells: Vec<Elem>,
    /// The binary logarithm of the rows of the trace.
    pub(crate) po2: usize,
}

impl Code {
    /// Code as the circuits' crates ship it: `words` are the control columns of one row after the other, as numbers.
    /// The trace has 2^`po2` rows: [`RECURSION_PO2`] but for tests.
    ///
    /// Whether it is a program that can be proved turns out when it is.
    pub fn from_words(words: &[u32], po2: usize) -> Self {
        Self { cells: words.iter().map(|word| Elem::new(*word)).collect(), po2 }
    }
}

type Words = dyn Fn(&str) -> Result<Vec<u32>, String> + Send + Sync;

/// Where a prover takes its programs from.
pub(crate) struct Programs(Box<Words>);

impl Programs {
    pub fn new<E: Display>(
        words: impl Fn(&str) -> Result<Vec<u32>, E> + Send + Sync + 'static,
    ) -> Self {
        Self(Box::new(move |name| words(name).map_err(|error| error.to_string())))
    }

    /// The code of program `id`.
    pub fn code(&self, id: ProgramId) -> Result<Code, ProgramError> {
        let name = id.file_name();
        let words = (self.0)(&name);
        words
            .map(|words| Code::from_words(&words, RECURSION_PO2))
            .map_err(|reason| ProgramError::Unreadable { name, reason })
    }
}

impl fmt::Debug for Programs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Programs").finish_non_exhaustive()
    }
}

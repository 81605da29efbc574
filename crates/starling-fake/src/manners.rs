//! How a fake prover behaves: what is wrong with it, if anything is.

use std::{fmt, str::FromStr, time::Duration};

use starling_types::MemoryBytes;
use thiserror::Error;

/// How a fake prover behaves. As text: words with a comma between, such as `pace=20,lies`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Manners {
    /// How long a task takes.
    pub pace: Duration,
    /// How large a result is at least.
    pub result_bytes: usize,
    /// What the padding of results ends with, so that those of different makers differ though they say the same. 0: nothing.
    pub salt: u64,
    /// What a task allocates and touches.
    pub hoards: MemoryBytes,
    /// Whether results are false.
    pub lies: bool,
    /// From which task of a process on they never end. 0: all of them end.
    pub hangs_at: u32,
    /// Which task of a process is its last: it dies of it. 0: none.
    pub dies_of: u32,
    /// Whether it tries what a prover has no business with, and tells in its results what it was allowed.
    pub trespasses: bool,
}

/// A text that describes no manners.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "{word:?} is none of pace=MS, size=BYTES, salt=N, hoards=BYTES, lies, hangs, hangs-at=N, dies-of=N, trespasses"
)]
pub struct ParseMannersError {
    /// What is not understood.
    pub word: String,
}

impl FromStr for Manners {
    type Err = ParseMannersError;

    fn from_str(text: &str) -> Result<Self, ParseMannersError> {
        let mut manners = Self::default();
        for word in text.split(',').filter(|word| !word.is_empty()) {
            let wrong = || ParseMannersError { word: word.into() };
            let (name, value) = word.split_once('=').unwrap_or((word, ""));
            let number = || value.parse::<u64>().map_err(|_| wrong());
            match name {
                "pace" => manners.pace = Duration::from_millis(number()?),
                "size" => manners.result_bytes = number()? as usize,
                "salt" => manners.salt = number()?,
                "hoards" => manners.hoards = MemoryBytes(number()?),
                "dies-of" => manners.dies_of = number()? as u32,
                "lies" if value.is_empty() => manners.lies = true,
                "hangs" if value.is_empty() => manners.hangs_at = 1,
                "hangs-at" => manners.hangs_at = number()? as u32,
                "trespasses" if value.is_empty() => manners.trespasses = true,
                _ => return Err(wrong()),
            }
        }
        Ok(manners)
    }
}

impl fmt::Display for Manners {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pace, result_bytes, salt, hoards, lies, hangs_at, dies_of, trespasses } = self;
        write!(f, "pace={},size={result_bytes},salt={salt}", pace.as_millis())?;
        write!(f, ",hoards={}", hoards.0)?;
        write!(f, ",dies-of={dies_of},hangs-at={hangs_at}")?;
        let faults = [(*lies, ",lies"), (*trespasses, ",trespasses")];
        faults.iter().filter(|(has, _)| *has).try_for_each(|(_, word)| f.write_str(word))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manners_parse_back_from_their_text_and_others_are_refused() {
        let manners = Manners {
            pace: Duration::from_millis(20),
            result_bytes: 1000,
            salt: 7,
            hoards: MemoryBytes(1 << 20),
            lies: true,
            hangs_at: 2,
            dies_of: 3,
            trespasses: true,
        };
        assert_eq!(manners.to_string().parse(), Ok(manners));
        assert_eq!("".parse(), Ok(Manners::default()));
        for wrong in ["pace", "pace=x", "lies=1", "sings"] {
            assert_eq!(wrong.parse::<Manners>(), Err(ParseMannersError { word: wrong.into() }));
        }
    }
}

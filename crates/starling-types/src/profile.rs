//! How a proof trades memory for time.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How a proof trades memory for time. What is proved is the same, bit for bit.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// Everything that is needed again is kept.
    #[default]
    Usual,
    /// With less memory: what is needed again is computed again.
    Frugal,
}

impl Profile {
    /// Both, the one that needs more memory first.
    pub const ALL: [Self; 2] = [Self::Usual, Self::Frugal];

    /// Its word on the command line and in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Usual => "usual",
            Self::Frugal => "frugal",
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

//! Exit codes, and the error that carries one.

use std::{fmt, process::ExitCode};

use serde::{Deserialize, Serialize};

use crate::{hints, terminal};

/// What the exit code of a failed command means. 0 is success.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[repr(u8)]
pub enum Code {
    /// The command failed.
    Failed = 1,
    /// The command line, or a file that it names, is not what the command needs.
    Usage = 2,
    /// The receipt does not verify.
    Invalid = 3,
    /// No node can take the work, or time ran out.
    NoCapacity = 4,
    /// Ctrl-C, as shells count it: 128 + SIGINT.
    Interrupted = 130,
}

/// An error that ends the process with its code.
#[derive(Debug)]
pub struct Exit {
    pub code: Code,
    pub error: anyhow::Error,
}

impl Exit {
    /// An error of the command line or of a file that it names.
    pub fn usage(error: impl Into<anyhow::Error>) -> Self {
        Self { code: Code::Usage, error: error.into() }
    }

    /// `code` with a message.
    pub fn message(code: Code, message: impl fmt::Display) -> Self {
        Self { code, error: anyhow::anyhow!("{message}") }
    }

    /// The error with its causes, and what to do about it.
    pub fn text(&self) -> String {
        let mut text = self.error.to_string();
        for cause in self.error.chain().skip(1) {
            let cause = cause.to_string();
            // Many errors already end with their cause.
            if !text.contains(&cause) {
                text.push_str(": ");
                text.push_str(&cause);
            }
        }
        if let Some(hint) = hints::of(&self.error) {
            text.push_str("; ");
            text.push_str(&hint);
        }
        text
    }

    /// Prints the error, its causes and what to do about it to stderr.
    pub fn report(&self) -> ExitCode {
        terminal::say(&format!("error: {}", self.text()));
        ExitCode::from(self.code as u8)
    }
}

impl<E: Into<anyhow::Error>> From<E> for Exit {
    fn from(error: E) -> Self {
        Self { code: Code::Failed, error: error.into() }
    }
}

/// The result of a command.
pub type CommandResult = Result<(), Exit>;

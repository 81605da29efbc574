//! Exit codes, and the error that carries one.

use std::{
    fmt,
    process::ExitCode,
    sync::atomic::{AtomicBool, Ordering},
};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use starling_client::JobError;
use starling_types::JobId;

use crate::{
    class::{self, Class},
    hints, order, terminal,
};

/// Whether the command was asked for JSON: then a failure is told on stdout as well, whatever ends the process.
static IN_JSON: AtomicBool = AtomicBool::new(false);

/// Whether from now on every failure is one JSON object on stdout, too.
pub fn answer_in_json(is_asked: bool) {
    IN_JSON.store(is_asked, Ordering::Relaxed);
}

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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    pub code: Code,
    /// The kind of the error, for programs.
    pub class: Class,
    /// The error with its causes.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// The job that it is of.
    pub job: Option<JobId>,
    /// Whether stdout has it already, in a result.
    #[serde(skip)]
    is_told: bool,
}

impl Exit {
    fn new(code: Code, error: &anyhow::Error) -> Self {
        Self {
            code,
            class: Class::of(error).unwrap_or(Class::of_code(code)),
            message: with_causes(error),
            hint: hints::of(error),
            job: class::job_of(error),
            is_told: false,
        }
    }

    /// An error of the command line or of a file that it names.
    pub fn usage(error: impl Into<anyhow::Error>) -> Self {
        Self::new(Code::Usage, &error.into())
    }

    /// `code` with a message.
    pub fn message(code: Code, message: impl fmt::Display) -> Self {
        Self {
            code,
            class: Class::of_code(code),
            message: message.to_string(),
            hint: None,
            job: None,
            is_told: false,
        }
    }

    /// The end of a command whose job failed.
    pub fn of_job(error: &JobError) -> Self {
        Self {
            code: order::code_of(error),
            class: Class::of_job(error),
            message: error.to_string(),
            hint: hints::of_job(error),
            job: None,
            is_told: false,
        }
    }

    /// With this kind instead of the one that its code or its cause has.
    pub fn classed(self, class: Class) -> Self {
        Self { class, ..self }
    }

    /// With this exit code.
    pub fn with_code(self, code: Code) -> Self {
        Self { code, ..self }
    }

    /// Of this job, unless it says another.
    pub fn of(self, job: JobId) -> Self {
        Self { job: self.job.or(Some(job)), ..self }
    }

    /// With what to do about it.
    pub fn hinted(self, hint: impl fmt::Display) -> Self {
        Self { hint: Some(hint.to_string()), ..self }
    }

    /// When a result on stdout has [its object](Self::object) already.
    pub fn told(self) -> Self {
        Self { is_told: true, ..self }
    }

    /// The error with its causes, and what to do about it.
    pub fn text(&self) -> String {
        match &self.hint {
            Some(hint) => format!("{}; {hint}", self.message),
            None => self.message.clone(),
        }
    }

    /// Prints the error, its causes and what to do about it to stderr.
    pub fn report(&self) -> ExitCode {
        terminal::say(&format!("error: {}", self.text()));
        self.answer();
        ExitCode::from(self.code as u8)
    }

    /// Prints it as one JSON object to stdout, where that was asked for.
    pub fn answer(&self) {
        if self.is_told || !IN_JSON.load(Ordering::Relaxed) {
            return;
        }
        // A stdout that can't be written loses it; the exit code still says that it failed.
        let _ = terminal::result_line(&json!({ "error": self.object() }).to_string());
    }

    /// What programs are told of it.
    pub fn object(&self) -> Value {
        let Self { code, class, message, hint, job, .. } = self;
        json!({
            "code": *code as u8,
            "class": class,
            "message": message,
            "hint": hint,
            "job": job,
        })
    }
}

/// An error with those of its causes that it does not end with anyway.
fn with_causes(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    text
}

impl<E: Into<anyhow::Error>> From<E> for Exit {
    fn from(error: E) -> Self {
        Self::new(Code::Failed, &error.into())
    }
}

/// The result of a command.
pub type CommandResult = Result<(), Exit>;

//! How a child ended, in words: a number says nothing to a person who reads a log.

use std::{fmt, process::ExitStatus};

/// How a child ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// By itself, with this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// In another way, in the system's words.
    Otherwise(String),
}

impl Ended {
    /// That of the status which the system tells.
    pub(crate) fn of(status: ExitStatus) -> Self {
        #[cfg(unix)]
        if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
            return Self::Signal(signal);
        }
        status.code().map_or_else(|| Self::Otherwise("unknown status".into()), Self::Code)
    }

    /// Whether somebody, or the kernel, killed it.
    pub(crate) fn is_kill(&self) -> bool {
        self.name() == Some("SIGKILL")
    }

    /// Whether it came to an instruction that the processor does not have.
    pub(crate) fn is_illegal_instruction(&self) -> bool {
        self.name() == Some("SIGILL")
    }

    fn name(&self) -> Option<&'static str> {
        match self {
            Self::Signal(signal) => Some(known(*signal)?.0),
            Self::Code(_) | Self::Otherwise(_) => None,
        }
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(signal) => match known(*signal) {
                Some((name, "")) => write!(f, "signal {signal}, {name}"),
                Some((name, means)) => write!(f, "signal {signal}, {name}: {means}"),
                None => write!(f, "signal {signal}"),
            },
            Self::Otherwise(words) => f.write_str(words),
        }
    }
}

/// The name of a signal, whose number differs between systems, and what it means for a prover, where that is not in the name.
#[cfg(unix)]
fn known(signal: i32) -> Option<(&'static str, &'static str)> {
    use rustix::process::Signal;
    const KNOWN: [(Signal, &str, &str); 15] = [
        (Signal::ILL, "SIGILL", "an instruction that this processor does not have"),
        (
            Signal::BUS,
            "SIGBUS",
            "memory that the system could not provide, as where a disk fails or huge pages are short",
        ),
        (Signal::SEGV, "SIGSEGV", "it reached for memory that it does not have"),
        (Signal::ABORT, "SIGABRT", "it ended itself"),
        (Signal::FPE, "SIGFPE", "a division that has no result"),
        (Signal::TRAP, "SIGTRAP", ""),
        (Signal::KILL, "SIGKILL", ""),
        (Signal::TERM, "SIGTERM", "somebody asked it to end"),
        (Signal::HUP, "SIGHUP", "its terminal is gone"),
        (Signal::INT, "SIGINT", ""),
        (Signal::QUIT, "SIGQUIT", ""),
        (Signal::PIPE, "SIGPIPE", "nobody reads what it says"),
        (Signal::XCPU, "SIGXCPU", "it had all of its processor time: see `ulimit -t`"),
        (Signal::XFSZ, "SIGXFSZ", "a file that is too large: see `ulimit -f`"),
        (Signal::SYS, "SIGSYS", "a system call that a filter around this program does not allow"),
    ];
    let found = KNOWN.iter().find(|(known, ..)| known.as_raw() == signal);
    found.map(|(_, name, means)| (*name, *means))
}

#[cfg(not(unix))]
fn known(_: i32) -> Option<(&'static str, &'static str)> {
    None
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_told_by_its_name_and_what_it_means() {
        use rustix::process::Signal;
        let of = |signal: Signal| Ended::Signal(signal.as_raw());
        let illegal = of(Signal::ILL);
        assert!(illegal.is_illegal_instruction() && !illegal.is_kill());
        assert!(
            illegal
                .to_string()
                .ends_with("SIGILL: an instruction that this processor does not have")
        );
        assert!(of(Signal::BUS).to_string().contains("SIGBUS: memory that the system"));
        assert!(of(Signal::KILL).is_kill());
        assert!(of(Signal::KILL).to_string().ends_with(", SIGKILL"));
        assert_eq!(Ended::Signal(60).to_string(), "signal 60");
        assert_eq!(Ended::Code(101).to_string(), "exit code 101");
        assert!(!Ended::Code(Signal::KILL.as_raw()).is_kill());
    }
}

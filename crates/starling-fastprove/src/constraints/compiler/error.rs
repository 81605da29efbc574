//! What can be wrong with a published constraint list.

use std::fmt;

/// Why a constraint list cannot be compiled. Lines count from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CompileError {
    /// The text that opens the list occurs this often, not once.
    Definition {
        /// What was sought.
        opening: &'static str,
        /// How often it is there.
        found: usize,
    },
    /// Something else stands where the list's form wants this.
    Unexpected {
        /// Where.
        line: usize,
        /// What the form wants.
        expected: String,
        /// The text that is there.
        found: String,
    },
    /// A step of a kind that this compiler does not know.
    UnknownStep {
        /// Where.
        line: usize,
        /// The step's name.
        name: String,
    },
    /// A step refers to a value or a state that no step before it makes.
    Undefined {
        /// Where.
        line: usize,
        /// What kind of thing it refers to.
        what: &'static str,
        /// Its index.
        index: usize,
        /// How many there are so far.
        count: usize,
    },
    /// A condition is an extension field element.
    ExtensionCondition {
        /// Where.
        line: usize,
    },
    /// A constant is not below the modulus.
    Constant {
        /// Where.
        line: usize,
        /// The constant.
        value: u32,
    },
    /// No condition guards the constraints of running sums.
    NoSums,
    /// The constraints of running sums do not go from column to column.
    BrokenSum {
        /// What the sums of an arm do.
        what: &'static str,
    },
    /// The mixing powers' exponents do not fit their type.
    Exponent {
        /// Where.
        line: usize,
    },
}

impl fmt::Display for CompileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Definition { opening, found } => {
                write!(f, "expected `{opening}` once, found it {found} times")
            }
            Self::Unexpected { line, expected, found } => {
                write!(f, "line {line}: expected {expected}, found `{found}`")
            }
            Self::UnknownStep { line, name } => {
                write!(f, "line {line}: unknown step `{name}`: teach it to the constraint compiler")
            }
            Self::Undefined { line, what, index, count } => {
                write!(
                    f,
                    "line {line}: {what} {index} is used, but only {count} are defined before"
                )
            }
            Self::ExtensionCondition { line } => {
                write!(f, "line {line}: the condition is an extension field element")
            }
            Self::Constant { line, value } => {
                write!(f, "line {line}: the constant {value} is not below the field's modulus")
            }
            Self::NoSums => write!(f, "no condition guards the constraints of running sums"),
            Self::BrokenSum { what } => write!(f, "the running sums under a condition {what}"),
            Self::Exponent { line } => write!(f, "line {line}: too many constraints to mix"),
        }
    }
}

impl std::error::Error for CompileError {}

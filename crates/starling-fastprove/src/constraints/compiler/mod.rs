//! Turns the constraint list that a circuit crate is published with into [bytecode](super::bytecode).
//!
//! The build script runs this; the crate itself has it for its tests only. The stages:
//!
//! - [`parse`]: from text to steps, strictly: what it does not know is an error.
//! - [`lower`]: from steps to a graph over the base field. Constants are folded, equal expressions shared, extension
//!   field values split into coordinates, and nested conditions become sums with powers that are known.
//!   On the way [`transpose`] moves linear maps from the rows to the powers.
//! - [`fuse`]: from runs of additions and multiplications to sums of products, which are reduced once.
//! - [`schedule`]: an order in which values live shortly, and slots for them to live in.

mod encode;
mod error;
mod fuse;
mod graph;
mod lower;
mod parse;
mod schedule;
mod sums;
#[cfg(test)]
mod tests;
mod transpose;

use super::bytecode::{Code, Sums};
pub use error::CompileError;

/// The field's modulus.
pub const MODULUS: u32 = 15 * (1 << 27) + 1;

/// Compiles the text of a circuit's `poly_ext.rs`.
///
/// # Errors
///
/// When the text has another form than the one known, or refers to what it does not define.
pub fn compile(source: &str) -> Result<Code, CompileError> {
    let listing = parse::parse(source)?;
    let lowered = lower::lower(&listing)?;
    let formulas = fuse::fuse(&lowered.graph, &lowered.roots);
    Ok(schedule::schedule(&lowered.graph, &formulas, &lowered.roots))
}

/// Compiles the running sums that the constraints in the text of a circuit's `poly_ext.rs` want of accumulators.
///
/// # Errors
///
/// As [`compile`], and when there are no such sums or they do not run through the columns one after another.
pub fn compile_sums(source: &str) -> Result<Sums, CompileError> {
    sums::sums(&parse::parse(source)?)
}

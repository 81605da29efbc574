//! Results on stdout: one JSON object with `--json`, else a line for each field, in the given order.

use std::{fmt, io::ErrorKind};

use anyhow::Context;
use serde_json::{Map, Value, json};
use starling_client::JOURNAL_PRINTED_BYTES_MAX;

use crate::{args::Common, exit::CommandResult, terminal};

/// A result: named values in the order in which a person reads them.
pub type Fields = Vec<(&'static str, Value)>;

/// The fields of a journal: its bytes in hex, unless they are too many to be printed, and their number.
pub fn journal(bytes: &[u8]) -> Fields {
    let shown = (bytes.len() <= JOURNAL_PRINTED_BYTES_MAX).then(|| hex::encode(bytes));
    vec![("journal", json!(shown)), ("journal_bytes", json!(bytes.len()))]
}

/// Prints the result; the process's stdout has nothing else.
///
/// # Errors
/// As [`line()`].
pub fn print(common: &Common, fields: Fields) -> CommandResult {
    if common.json {
        return line(object(fields));
    }
    let width = fields.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    for (name, value) in fields.iter().filter(|(_, value)| !value.is_null()) {
        // No second line of a value looks like a field of its own.
        let value = text(value).replace('\n', "\n    ");
        line(format_args!("{:width$}  {value}", name.replace('_', " ")))?;
    }
    Ok(())
}

/// Prints one line of a result.
///
/// # Errors
/// When stdout can't be written, as on a full disk. A reader that has seen enough and closed its end
/// (`starling job list | head -1`) is not an error.
pub fn line(text: impl fmt::Display) -> CommandResult {
    match terminal::result_line(&text.to_string()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written.context("can't write the result to stdout")?),
    }
}

/// The fields as a JSON object.
pub fn object(fields: Fields) -> Value {
    Value::Object(
        fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>(),
    )
}

/// A value for people: strings without quotes.
pub fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}

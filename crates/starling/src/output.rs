//! Results on stdout: one JSON object with `--json`, else a line for each field, in the given order.

use serde_json::{Map, Value};

use crate::args::Common;

/// A result: named values in the order in which a person reads them.
pub type Fields = Vec<(&'static str, Value)>;

/// Prints the result; the process's stdout has nothing else.
pub fn print(common: &Common, fields: Fields) {
    if common.json {
        println!("{}", object(fields));
        return;
    }
    let width = fields.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    for (name, value) in fields.iter().filter(|(_, value)| !value.is_null()) {
        println!("{:width$}  {}", name.replace('_', " "), text(value));
    }
}

/// The fields as a JSON object.
pub fn object(fields: Fields) -> Value {
    Value::Object(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>())
}

/// A value for people: strings without quotes.
pub fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}

//! The command line of Starling: parses, prints, exits.
fn main() {}

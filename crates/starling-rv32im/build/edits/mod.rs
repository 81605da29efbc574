//! Edits of the published source: each must match exactly as often as it says, or the build fails.
//!
//! A table for each concern, in a file of its own: [`execute`] is what the executor needs, [`preflight`] what the
//! preflight does, [`memory`] what it may touch, [`image`] what both have of memory, and [`program`] what they compute with
//! big integers.

mod execute;
mod image;
mod memory;
mod preflight;
mod program;

/// One edit of one file.
pub struct Edit {
    /// The file, relative to the crate's `src`.
    pub file: &'static str,
    /// The text to find.
    pub from: &'static str,
    /// The text in its place.
    pub to: &'static str,
    /// How often it is found.
    pub count: usize,
}

impl Edit {
    /// An edit whose text is found just once.
    const fn once(file: &'static str, from: &'static str, to: &'static str) -> Self {
        Self { file, from, to, count: 1 }
    }
}

/// All edits, in the order in which they are made.
const TABLES: [&[Edit]; 5] =
    [execute::EDITS, image::EDITS, memory::EDITS, preflight::EDITS, program::EDITS];

/// Makes the edits of one file in its text.
///
/// # Errors
///
/// If an edit does not match as often as it says: a sentence that names file and edit.
pub fn apply(file: &str, mut text: String) -> Result<String, String> {
    for edit in TABLES.into_iter().flatten().filter(|edit| edit.file == file) {
        let found = text.matches(edit.from).count();
        if found != edit.count {
            let Edit { file, from, count, .. } = edit;
            return Err(format!("an edit of {file} matches {found} times, not {count}: {from:?}"));
        }
        text = text.replace(edit.from, edit.to);
    }
    Ok(text)
}

/// Refuses a table with an edit of a file that is not among those taken.
///
/// # Errors
///
/// A sentence that names the file.
pub fn check_files(taken: &[&str]) -> Result<(), String> {
    match TABLES.into_iter().flatten().find(|edit| !taken.contains(&edit.file)) {
        Some(edit) => Err(format!("an edit is of {}, which is not taken", edit.file)),
        None => Ok(()),
    }
}

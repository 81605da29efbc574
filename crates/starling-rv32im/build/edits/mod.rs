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

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of the published source, and all that is edited in it.
    const FILE: &str = "execute/mod.rs";
    const TEXT: &str = "pub mod gdb;\npub mod testutil;\nuse {\n    \
                        bigint::analyze::analyze as bigint_analyze,\n};\n#[cfg(test)]\nmod tests;\n";

    #[test]
    fn each_edit_is_made_where_its_text_is() {
        assert_eq!(apply(FILE, TEXT.into()).as_deref(), Ok("use {\n};\n"));
    }

    #[test]
    fn an_edit_that_matches_more_or_less_often_than_it_says_is_an_error_that_names_it() {
        let expected = |found: usize| {
            Err(format!("an edit of {FILE} matches {found} times, not 1: \"pub mod gdb;\\n\""))
        };
        assert_eq!(apply(FILE, TEXT.replace("gdb", "lldb")), expected(0));
        assert_eq!(apply(FILE, TEXT.repeat(2)), expected(2));
    }

    #[test]
    fn a_file_without_edits_stays_as_it_is() {
        assert_eq!(apply("execute/none.rs", "text".to_owned()).as_deref(), Ok("text"));
    }

    #[test]
    fn an_edit_of_a_file_that_is_not_taken_is_an_error_that_names_the_file() {
        let mut files: Vec<_> = TABLES.into_iter().flatten().map(|edit| edit.file).collect();
        assert_eq!(check_files(&files), Ok(()));
        files.retain(|file| *file != FILE);
        assert_eq!(check_files(&files), Err(format!("an edit is of {FILE}, which is not taken")));
    }
}

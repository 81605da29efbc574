//! `ARCHITECTURE.md` has a table of invariants and the tests that hold them: each row names one at least, and every test
//! that a row names is there, in the crate that the row says.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use crate::root;

/// The heading above the table.
const HEADING: &str = "## Invariants and their tests";

/// The tests of the workspace: the files in which each name stands, from its root.
pub(crate) fn tests_of(root: &Path) -> BTreeMap<String, Vec<PathBuf>> {
    let mut tests: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    let mut folders = vec![root.join("crates")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let place = path.strip_prefix(root).unwrap().to_owned();
                for name in tests_in(&fs::read_to_string(&path).unwrap()) {
                    tests.entry(name).or_default().push(place.clone());
                }
            }
        }
    }
    tests
}

/// The names of the tests in a source file: functions below an attribute that makes them one.
fn tests_in(source: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut is_test = false;
    for line in source.lines().map(str::trim) {
        let signature = line.strip_prefix("async ").unwrap_or(line);
        if line == "#[test]" || line.starts_with("#[tokio::test") {
            is_test = true;
        } else if let Some(rest) = signature.strip_prefix("fn ") {
            let name = rest.split(['(', '<']).next().unwrap_or_default();
            if std::mem::take(&mut is_test) {
                names.push(name.to_owned());
            }
        } else if !line.starts_with("#[") && !line.starts_with("//") {
            is_test = false;
        }
    }
    names
}

/// The rows of the table: what is held, and by what.
fn rows(page: &str) -> Vec<(&str, &str)> {
    let (_, below) = page.split_once(HEADING).expect("the page has the table");
    let lines = below.lines().map(str::trim).filter(|line| line.starts_with('|'));
    // The head and the line below it.
    let cells = lines.skip(2).map(|line| line.trim_matches('|').split_once('|'));
    cells.map(|row| row.map(|(held, by)| (held.trim(), by.trim())).expect("two cells")).collect()
}

/// What a cell names, each with the place in the parentheses behind it, if there is one: a test, or the path of a script.
pub(crate) fn named(cell: &str) -> Vec<(&str, Option<&str>)> {
    let mut named = Vec::new();
    let mut rest = cell;
    while let Some((name, behind)) = rest.split_once('`').and_then(|(_, name)| name.split_once('`'))
    {
        // One place may stand behind several names.
        let place = behind.split_once(" (").and_then(|(_, place)| place.split_once(')'));
        named.push((name, place.map(|(place, _)| place)));
        rest = behind;
    }
    named
}

/// Places that a cell gives without a test in front: what has a slash, outside of names and of the parentheses behind them.
fn places_alone(cell: &str) -> Vec<&str> {
    let mut alone = Vec::new();
    for (at, part) in cell.split('`').enumerate() {
        // Every second part is a name.
        if at % 2 == 0 {
            let outside = part.split(['(', ')']).step_by(2);
            alone.extend(outside.flat_map(str::split_whitespace).filter(|word| word.contains('/')));
        }
    }
    alone
}

/// The folder of the crate that a place begins with the short name of.
pub(crate) fn crate_of(place: &str) -> String {
    match place.split('/').next() {
        Some("starling") | None => "crates/starling".to_owned(),
        Some(short) => format!("crates/starling-{short}"),
    }
}

/// What is wrong with what `by` gives for tests of what is `held`.
pub(crate) fn faults_of(
    (held, by): (&str, &str),
    root: &Path,
    tests: &BTreeMap<String, Vec<PathBuf>>,
) -> Vec<String> {
    let mut faults = Vec::new();
    let named = named(by);
    if named.is_empty() {
        faults.push(format!("{held:?} names no test"));
    }
    for place in places_alone(by) {
        faults.push(format!("{held:?} gives the place {place} without a test"));
    }
    for (name, place) in named {
        if name.contains('/') {
            if !root.join(name).exists() {
                faults.push(format!("{held:?}: there is no {name}"));
            }
            continue;
        }
        let Some(files) = tests.get(name) else {
            faults.push(format!("{held:?}: there is no test {name}"));
            continue;
        };
        let Some(folder) = place.map(crate_of) else {
            faults.push(format!("{held:?} does not say where {name} is"));
            continue;
        };
        if !files.iter().any(|file| file.starts_with(&folder)) {
            faults.push(format!("{held:?}: {name} is not in {folder} but in {files:?}"));
        }
    }
    faults
}

/// What is wrong with a table.
fn faults(page: &str, root: &Path, tests: &BTreeMap<String, Vec<PathBuf>>) -> Vec<String> {
    rows(page).into_iter().flat_map(|row| faults_of(row, root, tests)).collect()
}

#[test]
fn every_invariant_names_a_test_that_exists() {
    let root = root();
    let page = fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap();
    assert!(rows(&page).len() > 20, "the table is not found");
    let faults = faults(&page, &root, &tests_of(&root));
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_row_without_a_test_or_with_one_that_is_not_there_is_a_fault() {
    let tests = tests_of(&root());
    let wrong = |by: &str| {
        let page =
            format!("{HEADING}\n\n| invariant | held by |\n|---|---|\n| it holds | {by} |\n");
        faults(&page, &root(), &tests).join("; ")
    };
    let own = "`every_invariant_names_a_test_that_exists`";
    assert_eq!(wrong(&format!("{own} (types/tests)")), "");
    assert_eq!(wrong("`.ci/run`"), "");
    assert!(wrong("the compiler").contains("names no test"));
    assert!(wrong("`nobody_wrote_this`, and more (types)").contains("there is no test nobody"));
    assert!(wrong("`bench/nothing.sh`").contains("there is no bench/nothing.sh"));
    assert!(wrong(&format!("{own} (net/frame)")).contains("not in crates/starling-net"));
    assert!(wrong(own).contains("does not say where"));
    let more = format!("{own} (types/tests, of this page), net/turns");
    assert_eq!(wrong(&more), "\"it holds\" gives the place net/turns without a test");
    // What is called like a test and is none.
    assert!(wrong("`tests_in` (types/tests)").contains("there is no test tests_in"));
}

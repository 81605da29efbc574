//! `docs/security.md` says what is bounded and what others cannot do: each bound names its constant, and each row of both the
//! tests that show it.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use crate::{
    invariants::{crate_of, faults_of, named, tests_of},
    root,
};

/// The head of a table whose rows say what others can and cannot do.
const CLAIMS: [&str; 3] = ["can", "cannot", "shown by"];

/// The head of a table of bounds.
const BOUNDS: [&str; 4] = ["what", "bound", "constant", "shown by"];

/// The rows of every table with this head, of which each column ends with its word.
fn rows<'a, const N: usize>(page: &'a str, head: [&str; N]) -> Vec<[&'a str; N]> {
    let mut rows = Vec::new();
    let mut is_of_table = false;
    for line in page.lines().map(str::trim) {
        let inside = line.strip_prefix('|').and_then(|line| line.strip_suffix('|'));
        let Some(cells) = inside.map(|line| line.split('|').map(str::trim).collect::<Vec<_>>())
        else {
            is_of_table = false;
            continue;
        };
        let begins =
            cells.len() == N && cells.iter().zip(head).all(|(cell, word)| cell.ends_with(word));
        if begins {
            is_of_table = true;
        } else if is_of_table && !cells.iter().all(|cell| cell.starts_with("--")) {
            rows.push(cells.try_into().expect("a row has as many cells as the head"));
        }
    }
    rows
}

/// Whether a source file below the place that a cell gives has a constant of this name.
fn has_constant(name: &str, place: &str, root: &Path) -> bool {
    let inside = place.split_once('/').map_or("", |(_, inside)| inside);
    let source = root.join(crate_of(place)).join("src").join(inside);
    let text = fs::read_to_string(source.with_extension("rs")).unwrap_or_default();
    text.contains(&format!("const {name}:"))
}

/// What is wrong with the page.
fn faults(page: &str, root: &Path, tests: &BTreeMap<String, Vec<PathBuf>>) -> Vec<String> {
    let claims = rows(page, CLAIMS).into_iter().map(|[can, _, by]| (can, by));
    let bounds = rows(page, BOUNDS);
    let all = claims.chain(bounds.iter().map(|[what, _, _, by]| (*what, *by)));
    let mut faults: Vec<_> = all.flat_map(|row| faults_of(row, root, tests)).collect();
    for [what, _, cell, _] in bounds {
        let constants = named(cell);
        if constants.is_empty() {
            faults.push(format!("{what:?} names no constant"));
        }
        for (name, place) in constants {
            if !place.is_some_and(|place| has_constant(name, place, root)) {
                faults.push(format!("{what:?}: there is no constant {name} in {place:?}"));
            }
        }
    }
    faults
}

#[test]
fn every_bound_is_a_constant_that_there_is_and_is_shown_by_a_test() {
    let root = root();
    let page = fs::read_to_string(root.join("docs/security.md")).unwrap();
    assert!(rows(&page, CLAIMS).len() > 20, "the tables of what others can do are not found");
    assert!(rows(&page, BOUNDS).len() > 30, "the tables of bounds are not found");
    let faults = faults(&page, &root, &tests_of(&root));
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_bound_without_its_constant_or_its_test_is_a_fault() {
    let (root, tests) = (root(), tests_of(&root()));
    let wrong = |constant: &str, by: &str| {
        let page = format!(
            "| what | bound | constant | shown by |\n|---|---|---|---|\n| a thing | 5 | {constant} | {by} |\n"
        );
        faults(&page, &root, &tests).join("; ")
    };
    let there = "`INPUT_COUNT_MAX` (types/input)";
    let shown = "`a_bound_without_its_constant_or_its_test_is_a_fault` (types/tests)";
    let place = root.join("crates/starling-types/src/input.rs");
    assert!(fs::read_to_string(place).unwrap().contains("const INPUT_COUNT_MAX:"));
    assert_eq!(wrong(there, shown), "");
    assert!(wrong("five", shown).contains("names no constant"));
    assert!(wrong("`NOBODY_HAS_IT` (types/input)", shown).contains("no constant NOBODY_HAS_IT"));
    assert!(
        wrong("`INPUT_COUNT_MAX` (types/nowhere)", shown).contains("no constant INPUT_COUNT_MAX")
    );
    assert!(wrong("`INPUT_COUNT_MAX`", shown).contains("no constant INPUT_COUNT_MAX"));
    assert!(wrong(there, "nothing").contains("names no test"));
    let page = "| it can | it cannot | shown by |\n|---|---|---|\n| lie | win | `nobody_wrote_this` (types) |\n";
    assert!(faults(page, &root, &tests).join("; ").contains("no test nobody_wrote_this"));
}

//! Every target over its seeds, and the seeds themselves.

#![allow(clippy::unwrap_used)]

mod made;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

use super::*;

/// The most bytes of a seed: they are checked in, and a fuzzer that begins with long inputs is slow.
const SEED_BYTES_MAX: usize = 64 << 10;

/// How many bytes of a seed are changed, one at a time: a few seconds for all seeds together.
const CHANGED_COUNT_MAX: usize = 64;

/// The seeds of one target, by their names.
type Seeds = BTreeMap<String, Vec<u8>>;

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz")
}

/// The seeds of every target, from the folders.
fn seeds() -> BTreeMap<String, Seeds> {
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    let entries = |folder: &Path| -> Vec<PathBuf> {
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
    };
    let of_target = |folder: &PathBuf| -> Seeds {
        entries(folder).iter().map(|seed| (name(seed), fs::read(seed).unwrap())).collect()
    };
    let folders = entries(&fuzz().join("seeds"));
    folders.iter().map(|folder| (name(folder), of_target(folder))).collect()
}

fn names() -> BTreeSet<String> {
    TARGETS.iter().map(|target| target.name.to_owned()).collect()
}

/// Runs a target; what it panics with says over what.
fn run(target: Target, what: &str, bytes: &[u8]) {
    let ran = catch_unwind(AssertUnwindSafe(|| (target.check)(bytes)));
    assert!(ran.is_ok(), "{} breaks its rule over {what}: its panic is above", target.name);
}

#[test]
fn every_target_has_seeds_and_a_program_that_fuzzes_it() {
    let seeds = seeds();
    assert_eq!(seeds.keys().cloned().collect::<BTreeSet<_>>(), names());
    let manifest = fs::read_to_string(fuzz().join("Cargo.toml")).unwrap();
    for (target, seeds) in seeds {
        assert!(!seeds.is_empty(), "{target} has no seeds");
        for (seed, bytes) in seeds {
            assert!(bytes.len() <= SEED_BYTES_MAX, "{target}/{seed} has {} bytes", bytes.len());
        }
        let path = format!("fuzz_targets/{target}.rs");
        let program = fs::read_to_string(fuzz().join(&path)).unwrap();
        assert!(program.contains(&format!("check(\"{target}\", bytes)")), "{path} runs another");
        let listed = format!("name = \"{target}\"\npath = \"{path}\"");
        assert!(manifest.contains(&listed), "fuzz/Cargo.toml has no {target}");
    }
    let programs = fs::read_dir(fuzz().join("fuzz_targets")).unwrap().count();
    assert_eq!(programs, TARGETS.len(), "a program runs no target");
}

#[test]
fn every_seed_is_decoded_or_refused() {
    let seeds = seeds();
    for target in TARGETS {
        run(target, "nothing", &[]);
        for (seed, bytes) in &seeds[target.name] {
            run(target, seed, bytes);
        }
    }
}

#[test]
fn a_seed_that_is_cut_off_or_damaged_is_decoded_or_refused() {
    let seeds = seeds();
    for target in TARGETS {
        for (seed, bytes) in &seeds[target.name] {
            let step = bytes.len().div_ceil(CHANGED_COUNT_MAX).max(1);
            for at in (0..bytes.len()).step_by(step) {
                run(target, &format!("{seed}, cut off at {at}"), &bytes[..at]);
                let mut changed = bytes.clone();
                changed[at] ^= 1 << (at % 8);
                run(target, &format!("{seed}, changed at {at}"), &changed);
            }
        }
    }
}

#[test]
fn a_decoder_that_breaks_its_rule_is_found() {
    let panics = |check: fn()| catch_unwind(check).is_err();
    assert!(panics(|| check_error(&"red: \x1b[31m")));
    assert!(!panics(|| check_error(&"no ticket")));
    assert!(panics(|| check("no_such_target", &[])));
}

#[test]
fn what_seeds_are_made_of_is_decoded_by_this_release() {
    let seeds = seeds();
    for (target, made) in made::seeds() {
        for (seed, bytes) in made {
            let kept = seeds[target].get(seed);
            assert!(
                kept == Some(&bytes),
                "fuzz/seeds/{target}/{seed} is of another release: `cargo test --release -p starling-strangers -- --ignored record`"
            );
        }
    }
}

#[test]
#[ignore = "writes seeds anew"]
fn record_seeds() {
    for (target, made) in made::seeds() {
        let folder = fuzz().join("seeds").join(target);
        fs::create_dir_all(&folder).unwrap();
        for (seed, bytes) in made {
            fs::write(folder.join(seed), bytes).unwrap();
        }
    }
}

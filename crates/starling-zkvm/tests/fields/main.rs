//! Every field of every receipt that strangers send, changed: it is refused, or makes no difference, or what is made of it
//! is proved and verifies all the same.
//!
//! [`tree`] turns a real receipt into a tree of all its values, [`changes`] says what each can be changed to, and [`kinds`] how
//! such receipts come in, and what becomes of them: as bytes that are decoded and judged by the code that nodes' results, files
//! and hosts' receipts go through. What is kept of a changed receipt must be what is kept of the real one, word for word, since
//! it was rebuilt or compared. Where something else is kept, the next task over it is proved, and judged like any other.
//!
//! A seal has some 55,000 words, and to verify it takes milliseconds. Its first hundred words are changed (what its circuit puts
//! out, and its size) and its last, and 64 that are drawn, each in two ways that are drawn. Where a type is met again it is eight
//! words or fewer, in one way each, and of each digest three or one. What is drawn follows from a fixed seed (`changes::SEED`). One
//! place is changed at a time; only what is accepted in different places is laid into one receipt before something is proved of it.
//!
//! The fields of each kind are listed in `fields.txt`: a release of RISC Zero that adds one fails a test until somebody has
//! thought about what binds it, here and in `docs/security.md`.

#![allow(clippy::unwrap_used)]

mod changes;
mod kinds;
mod recorded;
#[path = "../tiny/mod.rs"]
mod tiny;
mod tree;

use std::{collections::BTreeSet, time::Instant};

use crate::{
    changes::{Change, changes, fields},
    kinds::{KINDS, Kind},
    tree::{Place, erased},
};

/// What is wrong with how `kind` is taken: which of these changes make a difference that nobody looked at.
fn faults(kind: &Kind, of: impl Fn(&Change) -> bool) -> Vec<String> {
    let started = Instant::now();
    let Kind { name, tree, .. } = kind;
    let original = kind.take(&tree.bytes()).unwrap_or_else(|error| panic!("{name}: {error}"));
    let all: Vec<_> = changes(tree, kind.depth).into_iter().filter(of).collect();
    let (mut accepted, mut kept_before) = (Vec::new(), BTreeSet::new());
    let (mut refused, mut same) = (0, 0);
    for change in &all {
        match kind.take(&tree.bytes_with(&change.path, &change.with)) {
            Err(_) => refused += 1,
            Ok(kept) if kept == original => same += 1,
            Ok(kept) => {
                // Another word for a change that was made before needs no other proof.
                if kept_before.insert(kept) {
                    accepted.push(change);
                }
            }
        }
    }
    let others: Vec<_> = accepted.iter().map(|change| &change.what).collect();
    println!(
        "{name}: of {} changes {refused} are refused, {same} make no difference, the others are {others:?}; {:?}",
        all.len(),
        started.elapsed()
    );
    let mut faults = Vec::new();
    for round in rounds(accepted) {
        let Err(error) = go_on(kind, &round) else { continue };
        // Which of them it is.
        let alone = round.iter().filter_map(|change| Some((change, go_on(kind, &[change]).err()?)));
        let alone: Vec<_> =
            alone.map(|(change, error)| format!("{name}{}: {error}", change.what)).collect();
        match alone.is_empty() {
            true => faults.push(format!("{name}, all of these together: {error}")),
            false => faults.extend(alone),
        }
    }
    println!("{name}: {:?} in all", started.elapsed());
    faults
}

/// Proves what comes next with all these changes made.
fn go_on(kind: &Kind, changes: &[&Change]) -> Result<(), String> {
    let mut tree = kind.tree.clone();
    for change in changes {
        *tree.at_mut(&change.path) = change.with.clone();
    }
    let kept = kind.take(&tree.bytes())?;
    kind.go_on(&kept)
}

/// The changes in as few groups as go: those of a group are in different places.
fn rounds<'a>(changes: Vec<&'a Change>) -> Vec<Vec<&'a Change>> {
    let mut rounds: Vec<Vec<&'a Change>> = Vec::new();
    for change in changes {
        let apart = |other: &&Change| {
            !other.path.starts_with(&change.path) && !change.path.starts_with(&other.path)
        };
        match rounds.iter_mut().find(|round| round.iter().all(apart)) {
            Some(round) => round.push(change),
            None => rounds.push(vec![change]),
        }
    }
    rounds
}

/// Goes through kinds of receipts.
fn demand(names: &[&str]) {
    let mut all = Vec::new();
    for name in names {
        all.extend(faults(&kind(name), |_| true));
    }
    assert!(all.is_empty(), "{}", all.join("\n"));
}

fn kind(name: &str) -> Kind {
    let make = KINDS.iter().find(|(known, _)| *known == name);
    make.unwrap_or_else(|| panic!("there is no {name}")).1(name.to_owned())
}

#[test]
fn a_changed_field_of_a_segments_receipt_is_refused_or_it_is_lifted_all_the_same() {
    demand(&["segment", "segment that assumes"]);
}

#[test]
fn a_changed_field_of_a_lift_is_refused_or_it_is_joined_all_the_same() {
    demand(&["lift"]);
}

#[test]
fn a_changed_field_of_the_last_join_is_refused_or_the_same_is_delivered() {
    demand(&["join"]);
}

#[test]
fn a_changed_field_of_a_receipt_that_assumes_is_refused_or_it_is_resolved_all_the_same() {
    demand(&["lift that assumes", "resolve"]);
}

#[test]
fn a_changed_field_of_counted_work_is_refused_or_it_is_unwrapped_and_joined_all_the_same() {
    demand(&["work", "unwrap"]);
}

#[test]
fn a_changed_field_of_a_keccak_proof_or_union_is_refused_or_it_is_united_and_resolved_with() {
    demand(&["keccak", "union"]);
}

#[test]
fn a_changed_field_of_a_given_receipt_is_refused_or_the_same_is_kept() {
    demand(&["given", "host's"]);
}

#[test]
fn a_changed_field_of_a_composite_receipt_is_refused_or_the_same_is_proved_from_it() {
    demand(&["composite", "composite that assumes"]);
}

#[test]
fn a_changed_field_of_a_verified_receipt_is_refused_or_the_same_is_said_of_it() {
    demand(&["verified succinct", "verified composite"]);
}

#[test]
fn a_changed_field_of_a_groth16_receipt_is_refused_or_the_same_is_said_of_it() {
    demand(&["verified groth16"]);
}

#[test]
fn a_field_that_the_verifier_alone_looks_at_is_found_to_lead_nowhere() {
    let stock = kinds::judged_by_the_verifier_alone();
    let index = stock.tree.find(".control_inclusion_proof.index");
    let faults = faults(&stock, |change| change.path == index);
    // Eight bits of it are read: 256 times anything can be added.
    let unseen = faults.iter().find(|fault| fault.contains(".index + P + 255: "));
    let unseen = unseen.unwrap_or_else(|| panic!("nothing is found, but {faults:?}"));
    assert!(unseen.contains("its program is at place"), "{unseen}");
}

#[test]
fn every_field_of_every_receipt_is_known_and_changed() {
    let known = include_str!("fields.txt");
    let mut faults = Vec::new();
    let mut all = String::new();
    for (name, make) in KINDS {
        let kind = make((*name).to_owned());
        let found = fields(&kind.tree);
        all.push_str(&format!("# {name}\n"));
        found.iter().for_each(|field| all.push_str(&format!("{field}\n")));

        let section = known.split("# ").find_map(|part| part.strip_prefix(&format!("{name}\n")));
        let listed: BTreeSet<_> = section.unwrap_or_default().lines().map(String::from).collect();
        let unknown =
            found.difference(&listed).map(|field| format!("{name} has {field}: what binds it?"));
        faults.extend(unknown);
        let gone = listed.difference(&found).map(|field| format!("{name} has no {field} any more"));
        faults.extend(gone);

        let changed: BTreeSet<_> = changes(&kind.tree, kind.depth)
            .iter()
            .map(|change| erased(&Place(&kind.tree, &change.path).to_string()))
            .collect();
        let left = found.iter().filter_map(|field| {
            let (place, of) = field.split_once(": ").unwrap();
            (!of.starts_with("tuple") && !changed.contains(place)).then_some(place)
        });
        faults.extend(left.map(|place| format!("{name}{place} is never changed")));
    }
    assert!(faults.is_empty(), "{}\n\nall that there is:\n{all}", faults.join("\n"));
}

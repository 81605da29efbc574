//! What the documents name is there: commands and their flags, files, headings.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use crate::harness::Home;

/// The documents, from the root of the repository; of a folder, all.
const DOCUMENTS: [&str; 7] = [
    "README.md",
    "ARCHITECTURE.md",
    "BENCHMARKS.md",
    "CONTRIBUTING.md",
    "docs",
    "guests/README.md",
    "fuzz/README.md",
];

/// Documents for users, in which a flag by itself is one of ours.
const FOR_USERS: [&str; 5] = [
    "docs/running.md",
    "docs/costs.md",
    "docs/security.md",
    "docs/data-directory.md",
    "docs/protocol.md",
];

/// What begins like a command and is not one: the text before what an ad's signature is over.
const NO_COMMAND: &str = r"starling job ad v1\0";

fn root() -> PathBuf {
    // Asked for when it runs: a cache of builds may have this program from another checkout.
    let here = std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo runs tests with it");
    Path::new(&here).join("../..").canonicalize().unwrap()
}

/// Every document with its text.
fn documents(root: &Path) -> Vec<(String, String)> {
    let mut paths = Vec::new();
    for name in DOCUMENTS {
        let path = root.join(name);
        if path.is_dir() {
            paths.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            paths.push(path);
        }
    }
    let name = |path: &Path| path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
    paths.iter().map(|path| (name(path), fs::read_to_string(path).unwrap())).collect()
}

/// The pieces of code in a document: the lines of its blocks without their comments, and what stands in backticks.
fn code(text: &str) -> Vec<String> {
    let mut pieces = Vec::new();
    for (at, part) in text.split("```").enumerate() {
        if at % 2 == 1 {
            let lines = part.lines().skip(1).map(|line| line.split(" #").next().unwrap_or(line));
            pieces.extend(lines.map(str::to_owned));
        } else {
            let spans = part.split('`').skip(1).step_by(2);
            pieces.extend(spans.map(|span| span.split_whitespace().collect::<Vec<_>>().join(" ")));
        }
    }
    pieces
}

/// The flags in a piece of code.
fn flags(piece: &str) -> BTreeSet<String> {
    let words = piece.split(|char: char| char.is_whitespace() || "[]=,()'\"".contains(char));
    words.filter(|word| word.starts_with("--") && word.len() > 2).map(str::to_owned).collect()
}

/// The commands, subcommands behind theirs, each with the flags that its help has.
fn commands(home: &Home) -> BTreeMap<String, BTreeSet<String>> {
    let help_of =
        |words: &[&str]| home.run(&[words, &["--help"]].concat()).succeeds().stdout.clone();
    let named = |help: &str| -> Vec<String> {
        let (_, listed) = help.split_once("\nCommands:\n").unwrap_or_default();
        let lines = listed.lines().take_while(|line| !line.trim().is_empty());
        let names = lines.filter_map(|line| line.split_whitespace().next());
        names.filter(|name| *name != "help").map(str::to_owned).collect()
    };
    let mut commands = BTreeMap::new();
    for command in named(&help_of(&[])) {
        let help = help_of(&[&command]);
        for sub in named(&help) {
            commands.insert(format!("{command} {sub}"), flags(&help_of(&[&command, &sub])));
        }
        commands.insert(command, flags(&help));
    }
    commands
}

/// The command that a piece of code runs, and its flags: `starling prove GUEST --input FILE`.
fn invocation(piece: &str) -> Option<(String, BTreeSet<String>)> {
    let (_, behind) = match piece.split_once("--bin starling -- ") {
        Some(parts) => parts,
        // A prompt may stand in front, but no other command.
        None => piece.split_once("starling ").filter(|(before, _)| {
            let before = before.trim();
            before.is_empty() || before.ends_with('$') || before.ends_with('/')
        })?,
    };
    let mut words = behind.split_whitespace();
    let is_name = |word: &&str| word.chars().all(|char| char.is_ascii_lowercase() || char == '-');
    let command = words.next().filter(is_name).filter(|word| !word.starts_with('-'))?;
    let named = match (command, words.next()) {
        ("job" | "bench", Some(sub)) if is_name(&sub) => format!("{command} {sub}"),
        _ => command.to_owned(),
    };
    Some((named, flags(behind)))
}

#[test]
fn every_command_and_flag_in_the_documents_is_one_that_there_is() {
    let home = Home::new();
    let commands = commands(&home);
    assert!(commands.contains_key("prove") && commands.contains_key("job list"), "{commands:?}");
    let all: BTreeSet<String> = commands.values().flatten().cloned().collect();
    let (mut faults, mut found) = (Vec::new(), 0);
    for (name, text) in documents(&root()) {
        for piece in code(&text).into_iter().filter(|piece| piece != NO_COMMAND) {
            if let Some((command, used)) = invocation(&piece) {
                found += 1;
                match commands.get(&command) {
                    None => faults.push(format!("{name}: no command {command:?}: {piece}")),
                    Some(has) => faults.extend(
                        used.difference(has).map(|flag| format!("{name}: no {flag} in: {piece}")),
                    ),
                }
            } else if FOR_USERS.contains(&name.as_str()) && piece.starts_with("--") {
                let of_nobody = flags(&piece).into_iter().filter(|flag| !all.contains(flag));
                faults.extend(of_nobody.map(|flag| format!("{name}: no command has {flag}")));
            }
        }
    }
    assert!(found > 30, "{found} invocations are found");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// A heading as a link names it.
fn anchor(heading: &str) -> String {
    let kept =
        heading.trim().chars().filter(|char| char.is_alphanumeric() || " -_".contains(*char));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

/// Whether a document has a heading that is linked to so.
fn has_anchor(text: &str, wanted: &str) -> bool {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    headings.map(|line| anchor(line.trim_start_matches('#'))).any(|found| found == wanted)
}

#[test]
fn every_link_of_the_documents_leads_somewhere() {
    let root = root();
    let (mut faults, mut found) = (Vec::new(), 0);
    for (name, text) in documents(&root) {
        let folder = root.join(&name).parent().unwrap().to_owned();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.contains("://") {
                continue;
            }
            found += 1;
            let (path, wanted) = link.split_once('#').unwrap_or((link, ""));
            let target = if path.is_empty() { root.join(&name) } else { folder.join(path) };
            if !target.exists() {
                faults.push(format!("{name}: there is no {link}"));
            } else if !wanted.is_empty()
                && !has_anchor(&fs::read_to_string(target).unwrap(), wanted)
            {
                faults.push(format!("{name}: no heading is {link}"));
            }
        }
    }
    assert!(found > 30, "{found} links are found");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Whether a piece of code is the path of a file of ours, as far as one can tell.
fn is_path(piece: &str) -> bool {
    const OURS: [&str; 6] = ["bench/", "crates/", "docs/", "guests/", "fuzz/", ".ci/"];
    let plain = piece.chars().all(|char| char.is_ascii_alphanumeric() || "/._-".contains(char));
    plain && OURS.iter().any(|folder| piece.starts_with(folder))
}

#[test]
fn every_path_in_the_documents_is_there() {
    let root = root();
    let (mut faults, mut found) = (Vec::new(), 0);
    for (name, text) in documents(&root) {
        for piece in code(&text) {
            // Of a command, the program and what it is given.
            for path in piece.split_whitespace().filter(|word| is_path(word)) {
                found += 1;
                if !root.join(path).exists() && !is_made_by_a_build(path) {
                    faults.push(format!("{name}: there is no {path}"));
                }
            }
        }
    }
    assert!(found > 40, "{found} paths are found");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// What is only there after something was built.
fn is_made_by_a_build(path: &str) -> bool {
    path.starts_with("guests/target")
}

#[test]
fn documents_are_read_as_a_reader_does() {
    let pieces = code(
        "a `starling job\n  list --json` b\n```sh\n$ starling prove X --fresh   # not --this\n```\n`c`",
    );
    assert_eq!(pieces, ["starling job list --json", "$ starling prove X --fresh  ", "c"]);
    let named = |piece: &str| invocation(piece).map(|(command, flags)| (command, flags.len()));
    assert_eq!(named(&pieces[0]), Some(("job list".into(), 1)));
    assert_eq!(named(&pieces[1]), Some(("prove".into(), 1)));
    assert_eq!(
        named("cargo run --release --bin starling -- node --join A"),
        Some(("node".into(), 1))
    );
    assert_eq!(named("cargo build --release --bin starling"), None);
    assert_eq!(anchor(" Costs, and `how`"), "costs-and-how");
    assert!(has_anchor("# One\n\n## Bad days\n", "bad-days") && !has_anchor("# One\n", "two"));
}

//! The ways to change a receipt in one place.

use std::collections::BTreeSet;

use rand_chacha::{
    ChaCha20Rng,
    rand_core::{Rng as _, SeedableRng as _},
};
use risc0_binfmt::Digestible;
use risc0_zkp::{core::hash::sha::Impl as Sha256, field::baby_bear::P};
use risc0_zkvm::{Assumption, Assumptions, DeserializeOwned, Digest, Output, SystemState, Work};
use starling_zkvm::{ReceiptClaim, WorkClaim};

use crate::tree::{Node, Path, Place, erased};

/// What draws places and changes is seeded with this, so that a fault is found again.
const SEED: [u8; 32] = [7; 32];

/// Numbers beyond so many in a list are a seal, or something as long: places in it are drawn.
const LONG: usize = 64;

/// More than any enum of a receipt has variants.
const VARIANTS: u32 = 6;

/// A multiple of 256 that modulo P is 255: what was added to the index of a program, so that the eight bits that the verifier
/// reads of it stayed as they were and a recursion program took it for another.
pub(crate) const UNSEEN: u32 = P + 255;

/// How many of all changes are tried.
#[derive(Clone, Copy)]
pub(crate) struct Depth {
    /// Of a long list: the first so many, which in a seal are what the circuit puts out and its size, ...
    pub(crate) first: usize,
    /// ... and so many that are drawn beside these and the last.
    pub(crate) drawn: usize,
    /// How many changes of each of these are drawn.
    pub(crate) of_each: usize,
    /// Of how many words of a digest one change is drawn; all changes of all words if there is no such number.
    pub(crate) of_digests: Option<usize>,
}

impl Depth {
    pub(crate) const WHOLE: Self = Self { first: 100, drawn: 64, of_each: 2, of_digests: None };
    /// Where a type is met again that is gone through as a whole elsewhere.
    pub(crate) const LIGHT: Self = Self { first: 2, drawn: 5, of_each: 1, of_digests: Some(3) };
    /// Where a verification takes five seals.
    pub(crate) const LEAST: Self = Self { first: 1, drawn: 2, of_each: 1, of_digests: Some(1) };
}

/// Something else in one place of a receipt.
pub(crate) struct Change {
    /// Where.
    pub(crate) path: Path,
    /// What stands there instead.
    pub(crate) with: Node,
    /// Both, for people.
    pub(crate) what: String,
}

/// What `tree` can be changed to.
pub(crate) fn changes(tree: &Node, depth: Depth) -> Vec<Change> {
    let rng = ChaCha20Rng::from_seed(SEED);
    let mut walk = Walk { tree, depth, rng, path: Vec::new(), changes: Vec::new() };
    walk.go(tree, "");
    walk.changes
}

/// The names of all that there is in `tree`, lists and enums with their variants among them, items of a list by one name.
pub(crate) fn fields(tree: &Node) -> BTreeSet<String> {
    fn go(node: &Node, name: &str, fields: &mut BTreeSet<String>) {
        let kind = match node {
            Node::Number { size_bytes, .. } => format!("u{}", 8 * size_bytes),
            Node::Text(_) => "text".into(),
            Node::Bytes(_) => "bytes".into(),
            Node::Optional(_) => "option".into(),
            Node::List(_) => "list".into(),
            Node::Tuple(items) => format!("tuple of {}", items.len()),
            Node::Variant { of, .. } => (*of).into(),
            Node::Struct(_) => String::new(),
        };
        if !kind.is_empty() {
            fields.insert(format!("{name}: {kind}"));
        }
        if let Some(items) = numbers(node) {
            // They are all alike.
            let item = items.first().into_iter();
            item.for_each(|item| go(item, &format!("{name}[]"), fields));
            return;
        }
        for (step, child) in node.children() {
            go(child, &format!("{name}{}", erased(&step)), fields);
        }
    }
    let mut all = BTreeSet::new();
    go(tree, "", &mut all);
    all
}

/// The items, if all are numbers.
fn numbers(node: &Node) -> Option<&[Node]> {
    let (Node::List(items) | Node::Tuple(items)) = node else { return None };
    items.iter().all(|item| matches!(item, Node::Number { .. })).then_some(items)
}

struct Walk<'a> {
    tree: &'a Node,
    depth: Depth,
    rng: ChaCha20Rng,
    path: Path,
    changes: Vec<Change>,
}

impl Walk<'_> {
    /// Goes through `node`, whose field is `field`.
    fn go(&mut self, node: &Node, field: &'static str) {
        for (how, with) in others(node, field) {
            self.change(how, with);
        }
        match numbers(node) {
            Some(items) if items.len() > LONG => {
                let (len, Depth { first, drawn, of_each, .. }) = (items.len(), self.depth);
                let mut places: BTreeSet<_> = (0..first).chain([len - 1]).collect();
                places.extend((0..drawn).map(|_| self.rng.next_u64() as usize % len));
                for at in places {
                    self.draw(at, &items[at], of_each);
                }
            }
            Some(items) if self.depth.of_digests.is_some_and(|count| count < items.len()) => {
                for _ in 0..self.depth.of_digests.unwrap_or_default() {
                    let at = self.rng.next_u64() as usize % items.len();
                    self.draw(at, &items[at], 1);
                }
            }
            _ => self.go_on(node, field),
        }
    }

    fn go_on(&mut self, node: &Node, field: &'static str) {
        let mut each = |at: usize, child: &Node, field: &'static str| {
            self.path.push(at);
            self.go(child, field);
            self.path.pop();
        };
        match node {
            Node::Number { .. } | Node::Text(_) | Node::Bytes(_) => {}
            Node::Optional(content) | Node::Variant { content, .. } => {
                content.iter().for_each(|child| each(0, child, field));
            }
            Node::List(items) | Node::Tuple(items) => {
                items.iter().enumerate().for_each(|(at, child)| each(at, child, field));
            }
            Node::Struct(fields) => {
                fields.iter().enumerate().for_each(|(at, (name, child))| each(at, child, name));
            }
        }
    }

    /// So many of the changes of a number, drawn.
    fn draw(&mut self, at: usize, item: &Node, count: usize) {
        let mut all = others(item, "");
        self.path.push(at);
        for _ in 0..count.min(all.len()) {
            let drawn = self.rng.next_u64() as usize % all.len();
            let (how, with) = all.swap_remove(drawn);
            self.change(how, with);
        }
        self.path.pop();
    }

    fn change(&mut self, how: String, with: Node) {
        let what = format!("{} {how}", Place(self.tree, &self.path));
        self.changes.push(Change { path: self.path.clone(), with, what });
    }
}

/// What could stand in the place of `node`, and how it differs.
fn others(node: &Node, field: &str) -> Vec<(String, Node)> {
    let mut all: Vec<(String, Node)> = Vec::new();
    match node {
        Node::Number { size_bytes, value } => {
            let bits = 8 * *size_bytes as u32;
            let max = u64::MAX >> (64 - bits);
            let mut seen = BTreeSet::from([*value]);
            for (how, other) in [
                ("+ 1", value.wrapping_add(1)),
                ("with its highest bit flipped", value ^ 1 << (bits - 1)),
                ("+ P", value.wrapping_add(P.into())),
                ("+ P + 255", value.wrapping_add(UNSEEN.into())),
                ("0", 0),
                ("at its most", max),
            ] {
                let other = other & max;
                if seen.insert(other) {
                    all.push((how.into(), Node::Number { size_bytes: *size_bytes, value: other }));
                }
            }
        }
        Node::Text(text) => {
            let mut longer = text.clone();
            longer.push('\0');
            let others = ["", "sha-256", "blake2b", "poseidon_254", &longer, &text.to_uppercase()];
            all.extend(others.map(|other| (format!("{other:?}"), Node::Text(other.into()))));
        }
        Node::Bytes(bytes) => {
            for at in 0..bytes.len() {
                let mut other = bytes.clone();
                other[at] ^= 0x80;
                all.push((format!("with byte {at} changed"), Node::Bytes(other)));
            }
            let longer = [&[0], &bytes[..]].concat();
            all.push(("a byte longer".into(), Node::Bytes(longer)));
            all.push(("a byte shorter".into(), Node::Bytes(bytes[1..].into())));
        }
        Node::Optional(Some(_)) => all.push(("taken away".into(), Node::Optional(None))),
        Node::Optional(None) => {
            let given = specimens(field).into_iter().map(|node| Node::Optional(Some(node.into())));
            all.extend(given.map(|node| ("given".into(), node)));
        }
        Node::List(items) => all.extend(other_lists(items, field)),
        Node::Tuple(_) | Node::Struct(_) => {}
        Node::Variant { of, index, name, content } => {
            let zeros = || Node::Tuple(vec![Node::word(0); 8]);
            let contents =
                [content.clone(), None, Some(zeros().into()), Some(Node::word(0).into())];
            for other in (0..VARIANTS).filter(|other| other != index) {
                let variants = contents.iter().map(|content| {
                    let content = content.clone();
                    let name = "another";
                    (
                        format!("as variant {other}"),
                        Node::Variant { of, index: other, name, content },
                    )
                });
                all.extend(variants);
            }
            if *of == "MaybePruned" {
                all.extend(opened_or_pruned(name, content.as_deref(), field));
            }
        }
    }
    all
}

fn other_lists(items: &[Node], field: &str) -> Vec<(String, Node)> {
    let mut all = Vec::new();
    let longer = match items.last() {
        Some(last) => vec![last.clone()],
        None => specimens(field),
    };
    for item in longer {
        let longer = items.iter().cloned().chain([item]).collect();
        all.push(("longer by one".into(), Node::List(longer)));
    }
    if let [first @ .., _] = items {
        all.push(("without its last".into(), Node::List(first.into())));
    }
    if let [_, rest @ ..] = items {
        all.push(("without its first".into(), Node::List(rest.into())));
    }
    if let [one, other, rest @ ..] = items
        && one != other
    {
        let swapped = [other, one].into_iter().chain(rest).cloned().collect();
        all.push(("with its first two swapped".into(), Node::List(swapped)));
    }
    all
}

/// The same said by its digest instead, or opened: what has the same digest means the same to whoever takes the digest alone.
fn opened_or_pruned(name: &str, content: Option<&Node>, field: &str) -> Vec<(String, Node)> {
    let variant = |index, name, content: Node| Node::Variant {
        of: "MaybePruned",
        index,
        name,
        content: Some(content.into()),
    };
    match (name, content) {
        ("Value", Some(value)) => {
            let digest = Node::of(&digest_of(value, field));
            vec![("by its digest".into(), variant(1, "Pruned", digest))]
        }
        ("Pruned", _) => {
            let opened = specimens(field).into_iter();
            opened.map(|value| ("opened".into(), variant(0, "Value", value))).collect()
        }
        _ => panic!("{name} is no variant of what may be pruned"),
    }
}

/// Things that can stand in `field`, of which the first of what may be pruned has most often the digest that is there.
fn specimens(field: &str) -> Vec<Node> {
    let pruned = || Node::Variant {
        of: "MaybePruned",
        index: 1,
        name: "Pruned",
        content: Some(Node::Tuple(vec![Node::word(0); 8]).into()),
    };
    let byte = |value| Node::Number { size_bytes: 1, value };
    match field {
        "input" => vec![Node::Optional(None)],
        "output" => {
            let output = || Node::Struct(vec![("journal", pruned()), ("assumptions", pruned())]);
            vec![Node::Optional(None), Node::Optional(Some(output().into())), output()]
        }
        // The last is what the Groth16 receipt says.
        "journal" => vec![
            Node::List(vec![]),
            Node::List(vec![byte(0)]),
            Node::List(b"just a simple receipt".iter().map(|at| byte((*at).into())).collect()),
        ],
        "bytes" => vec![byte(0)],
        "assumptions" => vec![Node::List(vec![]), pruned()],
        "pre" | "post" => vec![Node::of(&SystemState { pc: 0, merkle_root: Digest::ZERO })],
        // A fake receipt of nothing.
        "assumption_receipts" => vec![Node::Variant {
            of: "InnerAssumptionReceipt",
            index: 3,
            name: "Fake",
            content: Some(pruned().into()),
        }],
        _ => Vec::new(),
    }
}

/// The digest of a value that may be pruned.
///
/// # Panics
/// When its type is none that this knows: then a release has a new one, and this must learn it.
fn digest_of(value: &Node, field: &str) -> Digest {
    fn of<T: Digestible + DeserializeOwned>(value: &Node) -> Digest {
        let value: T = bincode::deserialize(&value.bytes()).expect("it was one before");
        value.digest::<Sha256>()
    }
    let Node::Struct(fields) = value else {
        return match field {
            // What is no input has the digest of what is no output.
            "input" | "output" => of::<Option<Output>>(value),
            "journal" => of::<Vec<u8>>(value),
            "assumptions" => of::<Assumptions>(value),
            _ => panic!("nobody knows the digest of {field}"),
        };
    };
    let names: Vec<_> = fields.iter().map(|(name, _)| *name).collect();
    match &names[..] {
        ["pre", "post", "exit_code", "input", "output"] => of::<ReceiptClaim>(value),
        ["claim", "work"] => of::<WorkClaim<ReceiptClaim>>(value),
        ["nonce_min", "nonce_max", "value"] => of::<Work>(value),
        ["pc", "merkle_root"] => of::<SystemState>(value),
        ["claim", "control_root"] => of::<Assumption>(value),
        _ => panic!("nobody knows the digest of {names:?}"),
    }
}

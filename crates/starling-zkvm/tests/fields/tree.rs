//! A receipt as a tree of values: what serde shows of it, every field by its name, and the bincode of that, as blobs and
//! files hold it. Anything in the tree can be replaced by anything else on the way back to bytes.

use std::fmt::{self, Write as _};

use serde::{Serialize, Serializer, ser};

/// A value and what is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Node {
    /// An integer of so many bytes.
    Number {
        size_bytes: usize,
        value: u64,
    },
    Text(String),
    Bytes(Vec<u8>),
    Optional(Option<Box<Self>>),
    /// As many as there are: how many is written before them.
    List(Vec<Self>),
    /// As many as the type says.
    Tuple(Vec<Self>),
    Struct(Vec<(&'static str, Self)>),
    Variant {
        of: &'static str,
        index: u32,
        name: &'static str,
        content: Option<Box<Self>>,
    },
}

/// A way down: of each value, which of those that are in it.
pub(crate) type Path = Vec<usize>;

impl Node {
    /// The tree of `value`.
    pub(crate) fn of(value: &impl Serialize) -> Self {
        value.serialize(Grow).expect("receipts have no maps, and nothing that a tree does not")
    }

    /// An integer of 32 bits.
    pub(crate) fn word(value: u32) -> Self {
        Self::Number { size_bytes: 4, value: value.into() }
    }

    /// What is in it, with the name of each.
    pub(crate) fn children(&self) -> Vec<(String, &Self)> {
        (0..).map_while(|at| self.child(at)).collect()
    }

    /// One of these: a seal has more of them than anybody wants to name for each.
    fn child(&self, at: usize) -> Option<(String, &Self)> {
        match self {
            Self::Number { .. } | Self::Text(_) | Self::Bytes(_) => None,
            Self::Optional(content) => content.iter().nth(at).map(|node| (".some".into(), &**node)),
            Self::Variant { name, content, .. } => {
                content.iter().nth(at).map(|node| (format!(".{name}"), &**node))
            }
            Self::List(items) | Self::Tuple(items) => {
                items.get(at).map(|node| (format!("[{at}]"), node))
            }
            Self::Struct(fields) => fields.get(at).map(|(name, node)| (format!(".{name}"), node)),
        }
    }

    fn child_mut(&mut self, at: usize) -> &mut Self {
        match self {
            Self::Optional(Some(content)) | Self::Variant { content: Some(content), .. } => content,
            Self::List(items) | Self::Tuple(items) => &mut items[at],
            Self::Struct(fields) => &mut fields[at].1,
            _ => panic!("nothing is in {self:?}"),
        }
    }

    /// What stands at the end of `path`.
    pub(crate) fn at_mut(&mut self, path: &[usize]) -> &mut Self {
        path.iter().fold(self, |node, at| node.child_mut(*at))
    }

    /// The bincode of it, as the codec of blobs and that of files write it.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.write(None, &mut bytes);
        bytes
    }

    /// The same with `replacement` at the end of `path`.
    pub(crate) fn bytes_with(&self, path: &[usize], replacement: &Self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.write(Some((path, replacement)), &mut bytes);
        bytes
    }

    fn write(&self, replaced: Option<(&[usize], &Self)>, to: &mut Vec<u8>) {
        let replaced_in = match replaced {
            Some(([], replacement)) => return replacement.write(None, to),
            Some(([at, rest @ ..], replacement)) => Some((*at, (rest, replacement))),
            None => None,
        };
        let of_child = |child: usize| match replaced_in {
            Some((at, rest)) if at == child => Some(rest),
            _ => None,
        };
        let count = |count: usize| (count as u64).to_le_bytes();
        match self {
            Self::Number { size_bytes, value } => to.extend(&value.to_le_bytes()[..*size_bytes]),
            Self::Text(text) => {
                to.extend(count(text.len()));
                to.extend(text.as_bytes());
            }
            Self::Bytes(bytes) => {
                to.extend(count(bytes.len()));
                to.extend(bytes);
            }
            Self::Optional(content) => {
                to.push(content.is_some().into());
                content.iter().for_each(|node| node.write(of_child(0), to));
            }
            Self::Variant { index, content, .. } => {
                to.extend(index.to_le_bytes());
                content.iter().for_each(|node| node.write(of_child(0), to));
            }
            Self::List(items) | Self::Tuple(items) => {
                if matches!(self, Self::List(_)) {
                    to.extend(count(items.len()));
                }
                (0..).zip(items).for_each(|(at, node)| node.write(of_child(at), to));
            }
            Self::Struct(fields) => {
                (0..).zip(fields).for_each(|(at, (_, node))| node.write(of_child(at), to));
            }
        }
    }

    /// The way to what has this name, as [`Place`]s have one.
    pub(crate) fn find(&self, name: &str) -> Path {
        let mut node = self;
        let (mut path, mut rest) = (Vec::new(), name);
        while !rest.is_empty() {
            let children = node.children();
            let found = children.iter().enumerate().filter_map(|(at, (step, child))| {
                rest.strip_prefix(step.as_str()).map(|rest| (step.len(), at, *child, rest))
            });
            // Of `.claim` and `.claims`, that one which says more.
            let (_, at, child, left) =
                found.max_by_key(|found| found.0).unwrap_or_else(|| panic!("no {name}: {rest}"));
            path.push(at);
            (node, rest) = (child, left);
        }
        path
    }
}

/// Where something stands in a receipt, for people: `.claim.Value.pre.Value.merkle_root[3]`.
pub(crate) struct Place<'a>(pub(crate) &'a Node, pub(crate) &'a [usize]);

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut node = self.0;
        for at in self.1 {
            let (step, child) = node.child(*at).expect("the way leads to something");
            f.write_str(&step)?;
            node = child;
        }
        Ok(())
    }
}

/// The name without the numbers in it, by which all items of a list are one field.
pub(crate) fn erased(name: &str) -> String {
    let mut erased = String::new();
    for (at, part) in name.split('[').enumerate() {
        let rest = if at == 0 { part } else { part.split_once(']').expect("it is closed").1 };
        let _ = write!(erased, "{}{rest}", if at == 0 { "" } else { "[]" });
    }
    erased
}

/// What a serialiser says when it can't.
#[derive(Debug)]
pub(crate) struct NoTree(String);

impl fmt::Display for NoTree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NoTree {}

impl ser::Error for NoTree {
    fn custom<T: fmt::Display>(reason: T) -> Self {
        Self(reason.to_string())
    }
}

/// Makes a tree of what is serialised, which must show itself as it does to bincode.
struct Grow;

/// The parts of something that has several.
struct Parts {
    items: Vec<Node>,
    fields: Vec<(&'static str, Node)>,
    /// What they make.
    close: fn(Self) -> Node,
    variant: Option<(&'static str, u32, &'static str)>,
}

impl Parts {
    fn new(close: fn(Self) -> Node) -> Self {
        Self { items: Vec::new(), fields: Vec::new(), close, variant: None }
    }

    fn of_variant(variant: (&'static str, u32, &'static str), close: fn(Self) -> Node) -> Self {
        Self { variant: Some(variant), ..Self::new(close) }
    }

    fn close(mut self) -> Node {
        let variant = self.variant.take();
        let content = (self.close)(self);
        match variant {
            None => content,
            Some((of, index, name)) => {
                Node::Variant { of, index, name, content: Some(content.into()) }
            }
        }
    }
}

fn list(parts: Parts) -> Node {
    Node::List(parts.items)
}

fn tuple(parts: Parts) -> Node {
    Node::Tuple(parts.items)
}

fn structure(parts: Parts) -> Node {
    Node::Struct(parts.fields)
}

fn no_tree(what: &str) -> NoTree {
    NoTree(format!("{what} has no place in a tree"))
}

macro_rules! numbers {
    ($($method:ident: $type:ty),*) => {
        $(fn $method(self, value: $type) -> Result<Node, NoTree> {
            Ok(Node::Number { size_bytes: size_of::<$type>(), value: u64::from(value) })
        })*
    };
}

macro_rules! refused {
    ($($method:ident: $type:ty),*) => {
        $(fn $method(self, _: $type) -> Result<Node, NoTree> {
            Err(no_tree(stringify!($type)))
        })*
    };
}

impl Serializer for Grow {
    type Ok = Node;
    type Error = NoTree;
    type SerializeSeq = Parts;
    type SerializeTuple = Parts;
    type SerializeTupleStruct = Parts;
    type SerializeTupleVariant = Parts;
    type SerializeMap = ser::Impossible<Node, NoTree>;
    type SerializeStruct = Parts;
    type SerializeStructVariant = Parts;

    numbers!(serialize_bool: bool, serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64);
    refused!(serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64, serialize_f32: f32, serialize_f64: f64, serialize_char: char);

    fn is_human_readable(&self) -> bool {
        false
    }

    fn serialize_str(self, text: &str) -> Result<Node, NoTree> {
        Ok(Node::Text(text.into()))
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Result<Node, NoTree> {
        Ok(Node::Bytes(bytes.into()))
    }

    fn serialize_none(self) -> Result<Node, NoTree> {
        Ok(Node::Optional(None))
    }

    fn serialize_some<T: ?Sized + Serialize>(self, value: &T) -> Result<Node, NoTree> {
        Ok(Node::Optional(Some(value.serialize(Self)?.into())))
    }

    fn serialize_unit(self) -> Result<Node, NoTree> {
        Ok(Node::Tuple(Vec::new()))
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<Node, NoTree> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(
        self,
        of: &'static str,
        index: u32,
        name: &'static str,
    ) -> Result<Node, NoTree> {
        Ok(Node::Variant { of, index, name, content: None })
    }

    fn serialize_newtype_struct<T: ?Sized + Serialize>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<Node, NoTree> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: ?Sized + Serialize>(
        self,
        of: &'static str,
        index: u32,
        name: &'static str,
        value: &T,
    ) -> Result<Node, NoTree> {
        let content = Some(value.serialize(self)?.into());
        Ok(Node::Variant { of, index, name, content })
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Parts, NoTree> {
        Ok(Parts::new(list))
    }

    fn serialize_tuple(self, _: usize) -> Result<Parts, NoTree> {
        Ok(Parts::new(tuple))
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Parts, NoTree> {
        Ok(Parts::new(tuple))
    }

    fn serialize_tuple_variant(
        self,
        of: &'static str,
        index: u32,
        name: &'static str,
        _: usize,
    ) -> Result<Parts, NoTree> {
        Ok(Parts::of_variant((of, index, name), tuple))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, NoTree> {
        Err(no_tree("a map"))
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Parts, NoTree> {
        Ok(Parts::new(structure))
    }

    fn serialize_struct_variant(
        self,
        of: &'static str,
        index: u32,
        name: &'static str,
        _: usize,
    ) -> Result<Parts, NoTree> {
        Ok(Parts::of_variant((of, index, name), structure))
    }
}

macro_rules! items {
    ($($of:ident::$method:ident),*) => {
        $(impl ser::$of for Parts {
            type Ok = Node;
            type Error = NoTree;

            fn $method<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), NoTree> {
                self.items.push(value.serialize(Grow)?);
                Ok(())
            }

            fn end(self) -> Result<Node, NoTree> {
                Ok(self.close())
            }
        })*
    };
}

items!(
    SerializeSeq::serialize_element,
    SerializeTuple::serialize_element,
    SerializeTupleStruct::serialize_field,
    SerializeTupleVariant::serialize_field
);

macro_rules! fields {
    ($($of:ident),*) => {
        $(impl ser::$of for Parts {
            type Ok = Node;
            type Error = NoTree;

            fn serialize_field<T: ?Sized + Serialize>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<(), NoTree> {
                self.fields.push((name, value.serialize(Grow)?));
                Ok(())
            }

            fn end(self) -> Result<Node, NoTree> {
                Ok(self.close())
            }
        })*
    };
}

fields!(SerializeStruct, SerializeStructVariant);

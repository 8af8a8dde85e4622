//! Which key of a payload goes where. Learned from the keys that come, bounded by the schema.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use hashbrown::HashMap;

use super::Mode;
use crate::columns::column_name;
use crate::{DEVICE_COLUMN, SITE_COLUMN, Schema, TS_COLUMN};

pub(super) const ROOT: u32 = 0;

/// Where the value of a key goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    EventTime,
    /// [`Mode::File`] only.
    Device,
    /// [`Mode::File`] only.
    Site,
    /// A property: a plain value into the column, the properties of an object by the node. At least one is there.
    Property {
        column: Option<u32>,
        node: Option<u32>,
    },
    Unknown,
}

/// The keys of the top level (node 0) and of nested objects.
#[derive(Debug)]
pub(super) struct Plan {
    schema: Arc<Schema>,
    arrow: SchemaRef,
    mode: Mode,
    /// Columns by name; ordered, so that it also answers whether any column begins with a prefix.
    columns: BTreeMap<Box<str>, u32>,
    nodes: Vec<Node>,
    required: u32,
}

/// A key that has come.
#[derive(Debug)]
struct Key {
    name: Box<str>,
    /// `"name":`, as most writers put it into a payload; nothing for names that have to be escaped.
    written: Option<Box<[u8]>>,
    target: Target,
}

#[derive(Debug, Default)]
struct Node {
    /// What flattening puts before the keys of this object, with its `_`.
    prefix: String,
    keys: Vec<Key>,
    by_name: HashMap<Box<str>, u32, ahash::RandomState>,
    /// At each place of the object, the key that stood there in the message before.
    expected: Vec<u32>,
}

impl Plan {
    pub fn new(schema: Arc<Schema>, mode: Mode) -> Plan {
        let names = schema.fields.iter().map(|field| field.name.as_str().into());
        let columns = names.zip(0..).collect();
        let required = schema.fields.iter().filter(|field| field.required).count() as u32;
        Plan { arrow: schema.arrow(), schema, mode, columns, nodes: vec![Node::default()], required }
    }

    pub fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    pub fn arrow(&self) -> SchemaRef {
        Arc::clone(&self.arrow)
    }

    pub fn required(&self) -> u32 {
        self.required
    }

    /// The target of the `place`-th key of an object.
    #[inline]
    pub fn target(&mut self, node: u32, place: usize, key: &str) -> Target {
        let here = &mut self.nodes[node as usize];
        if let Some(index) = here.expected.get(place) {
            let known = &here.keys[*index as usize];
            if known.name.as_ref() == key {
                return known.target;
            }
        }
        self.look_up(node, place, key)
    }

    /// When `rest` goes on with the key that stood at this place before, and its colon: its target and their bytes.
    #[inline]
    pub fn repeated(&self, node: u32, place: usize, rest: &[u8]) -> Option<(Target, usize)> {
        let here = &self.nodes[node as usize];
        let known = &here.keys[*here.expected.get(place)? as usize];
        let written = known.written.as_deref()?;
        rest.starts_with(written).then_some((known.target, written.len()))
    }

    fn look_up(&mut self, node: u32, place: usize, key: &str) -> Target {
        let here = &mut self.nodes[node as usize];
        if let Some(index) = here.by_name.get(key).copied() {
            here.expect(place, index);
            return here.keys[index as usize].target;
        }
        let target = self.resolve(node, key);
        // Unknown keys are not kept: their number is in the hands of the sender.
        if target != Target::Unknown {
            let here = &mut self.nodes[node as usize];
            let index = here.keys.len() as u32;
            here.keys.push(Key::new(key, target));
            here.by_name.insert(key.into(), index);
            here.expect(place, index);
        }
        target
    }

    fn resolve(&mut self, node: u32, key: &str) -> Target {
        match (node, self.mode, key) {
            (ROOT, _, TS_COLUMN) => return Target::EventTime,
            (ROOT, Mode::File, DEVICE_COLUMN) => return Target::Device,
            (ROOT, Mode::File, SITE_COLUMN) => return Target::Site,
            _ => {}
        }
        let flat = format!("{}{key}", self.nodes[node as usize].prefix);
        let column = self.columns.get(column_name(&flat).as_ref()).copied();
        let prefix = format!("{flat}_");
        let first = self.columns.range::<str, _>((Bound::Included(prefix.as_str()), Bound::Unbounded)).next();
        let node = first.is_some_and(|(name, _)| name.starts_with(&prefix)).then(|| {
            self.nodes.push(Node { prefix, ..Node::default() });
            self.nodes.len() as u32 - 1
        });
        match (column, node) {
            (None, None) => Target::Unknown,
            (column, node) => Target::Property { column, node },
        }
    }

    /// The flattened name of a key, for messages to people.
    pub fn flat_name(&self, node: u32, key: &str) -> String {
        format!("{}{key}", self.nodes[node as usize].prefix)
    }
}

impl Key {
    fn new(name: &str, target: Target) -> Key {
        let is_plain = |byte: u8| byte >= b' ' && byte != b'"' && byte != b'\\';
        let written = name.bytes().all(is_plain).then(|| format!("\"{name}\":").into_bytes().into());
        Key { name: name.into(), written, target }
    }
}

impl Node {
    fn expect(&mut self, place: usize, index: u32) {
        if let Some(expected) = self.expected.get_mut(place) {
            *expected = index;
        } else if self.expected.len() == place {
            // Only the place after the last: with unknown keys between, places stay unlearned.
            self.expected.push(index);
        }
    }
}

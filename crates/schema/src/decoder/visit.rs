//! serde's visitors: what each JSON event does to the builders.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::builder::{Misfit, Values};
use super::plan::{ROOT, Target};
use super::state::{State, clip};
use super::system::{EventTime, Name};
use super::text::JsonText;
use crate::{DEVICE_COLUMN, Reason, SITE_COLUMN};

/// The visits that a plain value makes where an object has to stand.
macro_rules! not_an_object {
    () => {
        fn visit_unit<E: Error>(self) -> Result<(), E> {
            Err(self.0.fail(Reason::NotAnObject, "got null"))
        }
        fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
            Err(self.0.fail(Reason::NotAnObject, "got a boolean"))
        }
        fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
            Err(self.0.fail(Reason::NotAnObject, "got a number"))
        }
        fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
            Err(self.0.fail(Reason::NotAnObject, "got a number"))
        }
        fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
            Err(self.0.fail(Reason::NotAnObject, "got a number"))
        }
        fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
            Err(self.0.fail(Reason::NotAnObject, "got a text"))
        }
    };
}

/// A payload: one object or an array of them.
pub(super) struct Message<'s, 'a>(pub &'s mut State<'a>);

impl<'de> DeserializeSeed<'de> for Message<'_, '_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Message<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or an array of objects")
    }

    fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<(), A::Error> {
        read_row(self.0, entries)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(Row(self.0))?.is_some() {}
        Ok(())
    }

    not_an_object!();
}

/// One object of an array.
struct Row<'s, 'a>(&'s mut State<'a>);

impl<'de> DeserializeSeed<'de> for Row<'_, '_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Row<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<(), A::Error> {
        read_row(self.0, entries)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<(), A::Error> {
        Err(self.0.fail(Reason::NotAnObject, "got an array inside an array"))
    }

    not_an_object!();
}

#[inline]
fn read_row<'de, A: MapAccess<'de>>(state: &mut State<'_>, entries: A) -> Result<(), A::Error> {
    state.begin_row()?;
    read_object(state, entries, ROOT, 0)?;
    state.end_row()
}

/// Reads the keys of an object, nested ones too. Bounded in depth.
#[inline]
fn read_object<'de, A: MapAccess<'de>>(
    state: &mut State<'_>,
    mut entries: A,
    node: u32,
    depth: u8,
) -> Result<(), A::Error> {
    let mut place = 0;
    while let Some(target) = entries.next_key_seed(Key { state, node, place })? {
        match target {
            Target::Property { column, node } => {
                entries.next_value_seed(Value { state, column, node, depth })?
            }
            Target::EventTime => entries.next_value_seed(EventTime(state))?,
            Target::Device => {
                state.device =
                    entries.next_value_seed(Name { state, key: DEVICE_COLUMN })?.or(state.device.take());
            }
            Target::Site => {
                state.site = entries.next_value_seed(Name { state, key: SITE_COLUMN })?.or(state.site.take());
            }
            Target::Unknown => entries.next_value_seed(Unknown(state))?,
        }
        place += 1;
    }
    Ok(())
}

/// A key, on the way to its target.
struct Key<'s, 'a> {
    state: &'s mut State<'a>,
    node: u32,
    place: usize,
}

impl<'de> DeserializeSeed<'de> for Key<'_, '_> {
    type Value = Target;
    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Target, D::Error> {
        json.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_, '_> {
    type Value = Target;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    #[inline]
    fn visit_str<E: Error>(self, key: &str) -> Result<Target, E> {
        let target = self.state.plan.target(self.node, self.place, key);
        if target == Target::Unknown {
            self.state.unknown = self.state.plan.flat_name(self.node, key);
        }
        Ok(target)
    }
}

/// The value of a property.
struct Value<'s, 'a> {
    state: &'s mut State<'a>,
    column: Option<u32>,
    node: Option<u32>,
    depth: u8,
}

impl<'de> DeserializeSeed<'de> for Value<'_, '_> {
    type Value = ();
    #[inline]
    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl Value<'_, '_> {
    /// The column for a plain value; only nested properties may be known under this name.
    #[inline]
    fn index<E: Error>(&mut self, got: &str) -> Result<u32, E> {
        match (self.column, self.node) {
            (Some(column), _) => Ok(column),
            (None, _) => Err(self.state.fail(Reason::WrongType, format!("expected an object, got {got}"))),
        }
    }

    #[inline]
    fn push<E: Error>(
        mut self,
        got: &str,
        value: impl FnOnce(&mut Values) -> Result<(), Misfit>,
    ) -> Result<(), E> {
        let index = self.index(got)?;
        value(self.state.cell(index)?).map_err(|misfit| self.state.wrong_type(index, misfit))
    }
}

impl<'de> Visitor<'de> for Value<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    /// Null is a missing value: nothing is written, and a required property stays unseen.
    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.push("a boolean", |values| values.push_bool(value))
    }

    #[inline]
    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.push("a number", |values| values.push_integer(value))
    }

    #[inline]
    fn visit_u64<E: Error>(mut self, value: u64) -> Result<(), E> {
        match i64::try_from(value) {
            Ok(value) => self.visit_i64(value),
            Err(_) => {
                let index = self.index("a number")?;
                Err(self.state.wrong_type(index, "an integer beyond 2^63"))
            }
        }
    }

    #[inline]
    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        self.push("a number", |values| values.push_fraction(value))
    }

    #[inline]
    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        self.push("a text", |values| values.push_text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, items: A) -> Result<(), A::Error> {
        let index = self.index("an array")?;
        let depth_left = self.state.limits.array_depth_max;
        let mut too_deep = false;
        let written = match self.state.cell(index)? {
            Values::Text(text) => {
                let json = JsonText { out: &mut text.bytes, depth_left, too_deep: &mut too_deep };
                json.sequence(items).map(|()| text.end_value())
            }
            _ => return Err(self.state.wrong_type(index, "an array")),
        };
        match written {
            Err(_) if too_deep => {
                Err(self.state.fail(Reason::TooDeep, format!("more than {depth_left} arrays in each other")))
            }
            written => written,
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let Value { state, column, node, depth } = self;
        let depth = depth + 1;
        if depth >= state.limits.object_depth_max {
            let detail = format!("more than {} objects in each other", state.limits.object_depth_max);
            return Err(state.fail(Reason::TooDeep, detail));
        }
        match (node, column) {
            (Some(node), _) => read_object(state, entries, node, depth),
            // An empty object says as much as null.
            (None, Some(column)) => match entries.next_key::<IgnoredAny>()? {
                None => Ok(()),
                Some(_) => Err(state.wrong_type(column, "an object")),
            },
            (None, None) => Ok(()),
        }
    }
}

/// The value of a key that the schema does not have: only nothing may stand there.
struct Unknown<'s, 'a>(&'s mut State<'a>);

impl<'de> DeserializeSeed<'de> for Unknown<'_, '_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl Unknown<'_, '_> {
    fn refuse<E: Error>(self) -> Result<(), E> {
        let detail = format!("`{}` is not in the schema", clip(&self.0.unknown));
        Err(self.0.fail(Reason::UnknownField, detail))
    }
}

impl<'de> Visitor<'de> for Unknown<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("null")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }
    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        self.refuse()
    }
    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        self.refuse()
    }
    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        self.refuse()
    }
    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        self.refuse()
    }
    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        self.refuse()
    }
    fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<(), A::Error> {
        self.refuse()
    }
    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        match entries.next_key::<IgnoredAny>()? {
            None => Ok(()),
            Some(_) => self.refuse(),
        }
    }
}

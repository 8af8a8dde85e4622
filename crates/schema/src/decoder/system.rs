//! The keys of a row that fill system columns instead of properties.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::state::{State, clip};
use super::time;
use crate::{Reason, TS_COLUMN};

/// `ts` of a row.
pub(super) struct EventTime<'s, 'a>(pub &'s mut State<'a>);

impl<'de> DeserializeSeed<'de> for EventTime<'_, '_> {
    type Value = ();
    #[inline]
    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl EventTime<'_, '_> {
    fn refuse<E: Error>(self, got: &str) -> Result<(), E> {
        Err(self
            .0
            .fail(Reason::BadTime, format!("`{TS_COLUMN}` is {got}; hint: RFC 3339 or an epoch number")))
    }

    #[inline]
    fn set<E: Error>(self, micros: i64) -> Result<(), E> {
        if self.0.ts.replace(micros).is_some() {
            return Err(self.0.fail(Reason::DuplicateKey, format!("`{TS_COLUMN}` occurs twice")));
        }
        Ok(())
    }
}

impl<'de> Visitor<'de> for EventTime<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a time")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }
    #[inline]
    fn visit_i64<E: Error>(self, number: i64) -> Result<(), E> {
        self.set(time::from_integer(number))
    }
    #[inline]
    fn visit_u64<E: Error>(self, number: u64) -> Result<(), E> {
        self.set(i64::try_from(number).map_or(i64::MAX, time::from_integer))
    }
    fn visit_f64<E: Error>(self, number: f64) -> Result<(), E> {
        self.set(time::from_fraction(number))
    }
    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        match time::from_text(text) {
            Some(micros) => self.set(micros),
            None => self.refuse(&format!("`{}`", clip(text))),
        }
    }
    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        self.refuse("a boolean")
    }
    fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<(), A::Error> {
        self.refuse("an array")
    }
    fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<(), A::Error> {
        self.refuse("an object")
    }
}

/// `device` or `site` of a line in a file. Numbers stand for their digits: meters are often numbered.
pub(super) struct Name<'s, 'a> {
    pub state: &'s mut State<'a>,
    pub key: &'static str,
}

impl<'de> DeserializeSeed<'de> for Name<'_, '_> {
    type Value = Option<Cow<'static, str>>;
    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Option<Cow<'static, str>>, D::Error> {
        json.deserialize_any(self)
    }
}

impl Name<'_, '_> {
    fn refuse<E: Error>(self, got: &str) -> Result<Option<Cow<'static, str>>, E> {
        Err(self.state.fail(Reason::WrongType, format!("`{}`: expected a text, got {got}", self.key)))
    }
}

impl<'de> Visitor<'de> for Name<'_, '_> {
    type Value = Option<Cow<'static, str>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_unit<E: Error>(self) -> Result<Option<Cow<'static, str>>, E> {
        Ok(None)
    }
    fn visit_str<E: Error>(self, name: &str) -> Result<Option<Cow<'static, str>>, E> {
        Ok(Some(Cow::Owned(name.to_owned())))
    }
    fn visit_i64<E: Error>(self, number: i64) -> Result<Option<Cow<'static, str>>, E> {
        Ok(Some(Cow::Owned(number.to_string())))
    }
    fn visit_u64<E: Error>(self, number: u64) -> Result<Option<Cow<'static, str>>, E> {
        Ok(Some(Cow::Owned(number.to_string())))
    }
    fn visit_f64<E: Error>(self, _: f64) -> Result<Option<Cow<'static, str>>, E> {
        self.refuse("a number with a fraction")
    }
    fn visit_bool<E: Error>(self, _: bool) -> Result<Option<Cow<'static, str>>, E> {
        self.refuse("a boolean")
    }
    fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<Option<Cow<'static, str>>, A::Error> {
        self.refuse("an array")
    }
    fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<Option<Cow<'static, str>>, A::Error> {
        self.refuse("an object")
    }
}

//! Arrays, kept as compact JSON text in a Text column.

use std::fmt;
use std::io::Write;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// Writes one JSON value. `too_deep` is set when it is refused for its depth.
pub(super) struct JsonText<'a> {
    pub out: &'a mut Vec<u8>,
    pub depth_left: u8,
    pub too_deep: &'a mut bool,
}

impl JsonText<'_> {
    fn deeper<E: Error>(&mut self) -> Result<u8, E> {
        match self.depth_left.checked_sub(1) {
            Some(left) => Ok(left),
            None => {
                *self.too_deep = true;
                Err(E::custom("too deep"))
            }
        }
    }

    /// Writing into memory does not fail; a finite number or a text always has a JSON form.
    fn write<T: serde::Serialize + ?Sized, E: Error>(self, value: &T) -> Result<(), E> {
        serde_json::to_writer(self.out, value).map_err(E::custom)
    }

    pub fn sequence<'de, A: SeqAccess<'de>>(mut self, mut items: A) -> Result<(), A::Error> {
        let depth_left = self.deeper()?;
        self.out.push(b'[');
        let mut first = true;
        loop {
            let mark = self.out.len();
            if !first {
                self.out.push(b',');
            }
            let item = JsonText { out: self.out, depth_left, too_deep: self.too_deep };
            if items.next_element_seed(item)?.is_none() {
                self.out.truncate(mark);
                break;
            }
            first = false;
        }
        self.out.push(b']');
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for JsonText<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for JsonText<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.out.extend_from_slice(b"null");
        Ok(())
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.write(&value)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.write(&value)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.write(&value)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        self.write(&value)
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        self.write(value)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<(), A::Error> {
        self.sequence(items)
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut entries: A) -> Result<(), A::Error> {
        let depth_left = self.deeper()?;
        self.out.push(b'{');
        let mut first = true;
        while let Some(key) = entries.next_key::<std::borrow::Cow<'de, str>>()? {
            if !first {
                self.out.push(b',');
            }
            first = false;
            serde_json::to_writer(&mut *self.out, key.as_ref()).map_err(A::Error::custom)?;
            self.out.write_all(b":").map_err(A::Error::custom)?;
            entries.next_value_seed(JsonText { out: self.out, depth_left, too_deep: self.too_deep })?;
        }
        self.out.push(b'}');
        Ok(())
    }
}

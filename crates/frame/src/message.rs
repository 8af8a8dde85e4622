//! The messages of `frame.proto`, written by hand so that no build needs protoc. A test keeps the two in agreement.

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Frame {
    #[prost(uint64, tag = "1")]
    pub rows: u64,
    #[prost(message, repeated, tag = "2")]
    pub columns: Vec<Column>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
pub(crate) enum ColumnType {
    Unknown = 0,
    Bool = 1,
    Int = 2,
    Float = 3,
    Text = 4,
    Time = 5,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Column {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(enumeration = "ColumnType", tag = "2")]
    pub r#type: i32,
    #[prost(bool, tag = "3")]
    pub required: bool,
    #[prost(bytes = "vec", tag = "4")]
    pub valid: Vec<u8>,
    #[prost(bytes = "vec", tag = "5")]
    pub bits: Vec<u8>,
    #[prost(sint64, repeated, tag = "6")]
    pub deltas: Vec<i64>,
    #[prost(uint32, optional, tag = "7")]
    pub exponent: Option<u32>,
    #[prost(double, repeated, tag = "8")]
    pub doubles: Vec<f64>,
    #[prost(string, tag = "9")]
    pub text: String,
    #[prost(uint32, repeated, tag = "10")]
    pub lengths: Vec<u32>,
    #[prost(uint32, repeated, tag = "11")]
    pub ids: Vec<u32>,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    /// `message.field` → (type, number), from the published description.
    fn published() -> BTreeMap<String, (String, String)> {
        let mut fields = BTreeMap::new();
        let mut message = String::new();
        for line in include_str!("../frame.proto").lines() {
            let code = line.split("//").next().unwrap().trim();
            let words: Vec<&str> = code.trim_end_matches(';').split_whitespace().collect();
            match words.as_slice() {
                ["message", name, "{"] => message = (*name).to_owned(),
                ["enum", ..] | ["}"] => message.clear(),
                [ty @ .., name, "=", number] if !message.is_empty() => {
                    fields.insert(format!("{message}.{name}"), (ty.join(" "), (*number).to_owned()));
                }
                _ => {}
            }
        }
        fields
    }

    /// The same from the attributes above.
    fn written() -> BTreeMap<String, (String, String)> {
        let mut fields = BTreeMap::new();
        let (mut message, mut attribute) = (String::new(), String::new());
        for line in include_str!("message.rs").lines().map(str::trim) {
            if let Some(name) = line.strip_prefix("pub(crate) struct ") {
                message = name.trim_end_matches(" {").to_owned();
            } else if let Some(text) = line.strip_prefix("#[prost(") {
                attribute = text.trim_end_matches(")]").to_owned();
            } else if let Some(field) = line.strip_prefix("pub ")
                && !attribute.is_empty()
            {
                let (name, rust_type) = field.split_once(':').unwrap();
                let (kind, number) = attribute.split_once(", tag = ").unwrap();
                let parts: Vec<&str> = kind.split(", ").collect();
                let inner = rust_type.trim().trim_start_matches("Vec<").trim_end_matches(">,");
                let ty = match parts[0].split(" = ").collect::<Vec<_>>().as_slice() {
                    ["message"] => inner.to_owned(),
                    ["enumeration", name] => name.trim_matches('"').to_owned(),
                    [scalar, ..] => (*scalar).to_owned(),
                    [] => unreachable!("an attribute has a kind"),
                };
                let label = parts.get(1).map_or(String::new(), |label| format!("{label} "));
                fields.insert(
                    format!("{message}.{}", name.trim_start_matches("r#")),
                    (format!("{label}{ty}"), number.trim_matches('"').to_owned()),
                );
                attribute.clear();
            }
        }
        fields
    }

    #[test]
    fn the_published_description_and_the_messages_agree() {
        assert_eq!(published(), written());
        assert_eq!(published().len(), 13);
    }

    #[test]
    fn the_published_types_and_their_numbers_agree() {
        for (name, number) in [("BOOL", 1), ("INT", 2), ("FLOAT", 3), ("TEXT", 4), ("TIME", 5)] {
            assert!(include_str!("../frame.proto").contains(&format!("  {name} = {number};")), "{name}");
            let ty = super::ColumnType::try_from(number).unwrap();
            assert_eq!(format!("{ty:?}").to_uppercase(), name);
        }
    }
}

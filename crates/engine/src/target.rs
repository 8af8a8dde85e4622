//! Which stream may take the rows of a query.

use springhouse_model::StreamName;
use springhouse_schema::Schema;

/// Whether rows of `from` reach `to` along the pipelines given as (stream they read, stream they fill).
pub(crate) fn reaches(pipelines: &[(&StreamName, &StreamName)], from: &StreamName, to: &StreamName) -> bool {
    let mut reached = vec![from];
    let mut next = 0;
    while let Some(at) = reached.get(next).copied() {
        if at == to {
            return true;
        }
        for (source, into) in pipelines {
            if *source == at && !reached.contains(into) {
                reached.push(into);
            }
        }
        next += 1;
    }
    false
}

/// Why rows must not go into a stream from which they would come back.
pub(crate) fn comes_back(source: &StreamName) -> String {
    format!("its rows would come back into `{source}`, which it reads")
}

/// Why no pipeline may fill a stream of this name.
pub(crate) fn reserved(name: &StreamName) -> Option<&'static str> {
    let name = name.as_str();
    match name {
        _ if name.starts_with("alerts.") => Some("names below `alerts` belong to alerts; hint: CREATE ALERT"),
        _ if name.ends_with(".late") => {
            Some("names that end in `.late` belong to the late rows of a pipeline")
        }
        _ => None,
    }
}

/// The stream's schema with room for the rows of a query, or why they do not fit. A declared stream keeps its columns.
pub(crate) fn widened(stream: &Schema, is_declared: bool, query: &Schema) -> Result<Schema, String> {
    let mut wider = stream.clone();
    for field in &query.fields {
        match stream.field(&field.name) {
            Some(known) if known.ty == field.ty => {}
            Some(known) => {
                let (known, given) = (known.ty, field.ty);
                return Err(format!("its column `{}` is {known:?}, the query gives {given:?}", field.name));
            }
            None if is_declared => return Err(format!("it has no column `{}`", field.name)),
            None => wider.fields.push(field.clone()),
        }
    }
    let is_given = |name: &str| query.fields.iter().any(|field| field.name == name);
    match stream.fields.iter().find(|field| field.required && !is_given(&field.name)) {
        Some(missing) => {
            Err(format!("its column `{}` is required and the query does not give it", missing.name))
        }
        None => Ok(wider),
    }
}

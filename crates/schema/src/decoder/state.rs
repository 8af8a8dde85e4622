//! What both readers share while one message is read, and the refusals.

use std::borrow::Cow;

use serde::de::Error;
use springhouse_model::{Partition, ValueType};

use super::builder::Values;
use super::plan::Plan;
use super::rows::Built;
use super::{Limits, Origin};
use crate::{Reason, Rejection};

pub(super) struct State<'a> {
    pub plan: &'a mut Plan,
    pub limits: &'a Limits,
    built: &'a mut Built,
    origin: &'a Origin<'a>,
    rows_before: usize,
    /// Why the message is refused; the error that a reader passes on only carries that it is.
    pub failure: Option<Rejection>,
    /// Of the row that is being read, as far as the payload names them.
    pub ts: Option<i64>,
    pub device: Option<Cow<'a, str>>,
    pub site: Option<Cow<'a, str>>,
    required_seen: u32,
    /// The flattened name of the last key that the schema does not have.
    pub unknown: String,
}

impl<'a> State<'a> {
    pub fn new(
        plan: &'a mut Plan,
        built: &'a mut Built,
        origin: &'a Origin<'a>,
        limits: &'a Limits,
    ) -> State<'a> {
        State {
            rows_before: built.len(),
            plan,
            limits,
            built,
            origin,
            failure: None,
            ts: None,
            device: None,
            site: None,
            required_seen: 0,
            unknown: String::new(),
        }
    }

    #[inline]
    pub fn begin_row<E: Error>(&mut self) -> Result<(), E> {
        let count = self.built.len() - self.rows_before;
        let cells = (count + 1) * self.built.columns.len();
        if count >= self.limits.rows_max || cells > self.limits.cells_max {
            return Err(self.fail(Reason::TooLarge, format!("more than {count} rows in one message")));
        }
        self.ts = None;
        self.required_seen = 0;
        Ok(())
    }

    #[inline]
    pub fn end_row<E: Error>(&mut self) -> Result<(), E> {
        if self.required_seen != self.plan.required() {
            return Err(self.fail_missing());
        }
        let Some(ts) = self.ts.or(self.origin.received.map(|time| time.micros())) else {
            return Err(self.fail(Reason::MissingField, "`ts` is missing"));
        };
        if let Err(rejection) = self.limits.time.check(ts, self.origin.received) {
            return Err(self.fail_with(rejection));
        }
        let (device, site) = (self.device.take(), self.site.take());
        let partition = device.as_deref().map_or(self.origin.partition, |device| Partition::of(device).0);
        let device = device.as_deref().or(self.origin.device);
        let site = site.as_deref().or(self.origin.site);
        self.built.push(ts, device, site, self.origin, partition);
        Ok(())
    }

    /// The values of a column, whose next one has to be pushed as that of the current row.
    #[inline]
    pub fn cell<E: Error>(&mut self, index: u32) -> Result<&mut Values, E> {
        let row = self.built.len();
        if self.built.columns[index as usize].has(row) {
            let detail = format!("`{}` occurs twice", self.plan.schema().fields[index as usize].name);
            return Err(self.fail(Reason::DuplicateKey, detail));
        }
        let column = &mut self.built.columns[index as usize];
        self.required_seen += u32::from(column.required);
        column.begin_value(row);
        Ok(&mut column.values)
    }

    #[cold]
    pub fn fail<E: Error>(&mut self, reason: Reason, detail: impl Into<String>) -> E {
        self.fail_with(Rejection::new(reason, detail))
    }

    #[cold]
    fn fail_with<E: Error>(&mut self, rejection: Rejection) -> E {
        self.failure = Some(rejection);
        E::custom("refused")
    }

    #[cold]
    fn fail_missing<E: Error>(&mut self) -> E {
        let row = self.built.len();
        let fields = self.plan.schema().fields.iter().zip(&self.built.columns);
        let missing = fields.filter(|(_, column)| column.required && !column.has(row));
        let names: Vec<_> = missing.map(|(field, _)| format!("`{}`", field.name)).collect();
        self.fail(Reason::MissingField, format!("{} missing", names.join(", ")))
    }

    #[cold]
    pub fn wrong_type<E: Error>(&mut self, index: u32, got: &str) -> E {
        let field = &self.plan.schema().fields[index as usize];
        let expected = match field.ty {
            ValueType::Bool => "a boolean",
            ValueType::Int => "a 64-bit integer",
            ValueType::Float => "a number that a double holds exactly",
            ValueType::Text => "a text or an array",
            ValueType::Time => "a time, RFC 3339 or epoch number",
        };
        let detail = format!("`{}`: expected {expected}, got {got}", field.name);
        self.fail(Reason::WrongType, detail)
    }
}

/// The beginning of a text from a payload, short enough for a message to a person.
pub(super) fn clip(text: &str) -> String {
    const CHARACTERS_MAX: usize = 48;
    match text.char_indices().nth(CHARACTERS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

//! The tables of a run: files of whoever runs it, read once, whole.

use std::path::Path;
use std::sync::Arc;

use springhouse_model::StreamName;

use super::{RunFailure, Source};
use crate::statement::{CreateTable, RowFormat, RowSource};
use crate::tables::{Bounds, Definition, TableRows, read_file};
use crate::{LookupTable, PlanError};

type Inputs = Vec<(StreamName, Source)>;
/// A table and its rows.
pub(super) type Loaded = (LookupTable, Arc<TableRows>);

/// Reads the declared tables: what `--from` names, or the file of the statement, which is found from `base`. Returns the
/// inputs that are streams, too.
pub(super) fn load(
    declared: &[CreateTable],
    inputs: Inputs,
    base: &Path,
) -> Result<(Inputs, Vec<Loaded>), RunFailure> {
    let is_table = |name: &StreamName| declared.iter().any(|table| table.name == *name);
    let (of_tables, streams): (Inputs, Inputs) = inputs.into_iter().partition(|(name, _)| is_table(name));
    let load_one = |table: &CreateTable| {
        let given = of_tables.iter().find(|(name, _)| *name == table.name).map(|(_, source)| source);
        let definition = Definition::of(table);
        let (path, format) = match (given, &table.source) {
            (Some(Source::Stdin), _) => {
                let why =
                    format!("the table `{}` is read from a file; hint: --from {0}=FILE.csv", table.name);
                return Err(RunFailure::Options(why));
            }
            (Some(Source::File(path)), _) => {
                let format = RowFormat::of_name(&path.display().to_string()).unwrap_or(RowFormat::Csv);
                (path.clone(), format)
            }
            (None, RowSource::Place { place, format }) if !place.contains("://") => {
                (base.join(place), *format)
            }
            (None, other) => {
                let why = match other {
                    RowSource::Given => "says not where its rows are",
                    RowSource::Query(_) => "is made from history, which only a hub has",
                    RowSource::Place { .. } => "is on another machine, and a run makes no connections",
                };
                let error = PlanError::new(format!("the table `{}` {why}", table.name));
                return Err(error.with_hint(format!("--from {}=FILE.csv", table.name)).into());
            }
        };
        let rows = read_file(&definition, &path, format, Bounds::default())?;
        Ok((LookupTable { name: table.name.clone(), id: 0, definition }, Arc::new(rows)))
    };
    let tables = declared.iter().map(load_one).collect::<Result<_, RunFailure>>()?;
    Ok((streams, tables))
}

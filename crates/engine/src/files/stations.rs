//! The pipelines of a run, each at its place between the streams.

use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::sync::Arc;

use springhouse_model::StreamName;
use springhouse_schema::Schema;

use super::tables::Loaded;
use super::{NdjsonWriter, RunFailure, Target, io};
use crate::statement::Select;
use crate::{Catalog, Pipeline, PlanError, StreamTable, plan, target};

pub(super) type Writer = NdjsonWriter<Box<dyn Write>>;

/// A query as the statements name it.
pub(super) struct Query {
    /// The pipeline and the stream that it fills; a SELECT has no name and fills none.
    pub(super) names: Option<(StreamName, StreamName)>,
    pub(super) select: Select,
}

/// A pipeline with its place in the graph.
pub(super) struct Station {
    pub(super) pipeline: Pipeline,
    pub(super) into: Option<Into>,
    pub(super) late_into: Option<StreamName>,
    pub(super) writer: Option<Writer>,
    pub(super) late_writer: Option<Writer>,
    /// Whether its rows are the ones that are counted.
    pub(super) is_last: bool,
}

/// The stream that a pipeline fills.
#[derive(Clone)]
pub(super) struct Into {
    pub(super) stream: StreamName,
    /// The columns of a declared stream, when they are not those of the query.
    pub(super) columns: Option<Arc<Schema>>,
}

impl Station {
    /// Looks rows up in these tables.
    pub(super) fn look_up(&mut self, tables: &[Loaded]) {
        let plan = Arc::clone(self.pipeline.plan());
        for (at, wanted) in plan.tables.iter().enumerate() {
            if let Some((_, rows)) = tables.iter().find(|(table, _)| table.name == wanted.name) {
                self.pipeline.put_table(at, rows);
            }
        }
    }
}

/// Plans the queries in their order; each may read the streams that those before it fill.
pub(super) fn stations(queries: Vec<Query>, catalog: &mut Catalog) -> Result<Vec<Station>, RunFailure> {
    let mut stations: Vec<Station> = Vec::new();
    let mut filled_by = HashMap::new();
    let last = queries.iter().position(|query| query.names.is_none()).unwrap_or(queries.len() - 1);
    for (at, query) in queries.into_iter().enumerate() {
        let plan = Arc::new(plan::plan(&query.select, catalog)?);
        let (mut into, mut late_into) = (None, None);
        if let Some((name, stream)) = query.names {
            let refuse = |why| PlanError::new(format!("`{name}` cannot fill `{stream}`: {why}"));
            if let Some(other) = filled_by.insert(stream.clone(), name.clone()) {
                return Err(refuse(format!("pipeline `{other}` fills it")).into());
            }
            for source in plan.source_names() {
                if target::reaches(&edges(&stations), &stream, &source) {
                    return Err(refuse(target::comes_back(&source)).into());
                }
            }
            let columns = match catalog.stream(stream.as_str()) {
                Some(declared) => {
                    Some(target::widened(&declared.schema, true, plan.output_schema()).map_err(refuse)?)
                }
                None => {
                    catalog.insert(StreamTable {
                        name: stream.clone(),
                        schema: plan.output_schema().clone(),
                        watermark_delay_us: plan.output_delay_us,
                    });
                    None
                }
            };
            let late = crate::late_stream(&name)?;
            catalog.insert(StreamTable {
                name: late.clone(),
                schema: plan.late_schema().clone(),
                watermark_delay_us: plan.late_delay_us(),
            });
            late_into = Some(late);
            into = Some(Into { stream, columns: columns.map(Arc::new) });
        }
        let pipeline = plan.start();
        let is_last = at == last;
        stations.push(Station { pipeline, into, late_into, writer: None, late_writer: None, is_last });
    }
    Ok(stations)
}

/// From which stream to which rows go.
fn edges(stations: &[Station]) -> Vec<(&StreamName, &StreamName)> {
    stations
        .iter()
        .flat_map(|station| {
            let targets =
                station.into.as_ref().map(|into| &into.stream).into_iter().chain(&station.late_into);
            let sources = &station.pipeline.plan().sources;
            targets.flat_map(move |stream| sources.iter().map(move |source| (&source.name, stream)))
        })
        .collect()
}

/// Opens the files for the rows that somebody asked for.
pub(super) fn open_targets(
    stations: &mut [Station],
    targets: &[(Option<String>, Target)],
) -> Result<(), RunFailure> {
    for (stream, target) in targets {
        let writer = match target {
            Target::Nowhere => continue,
            Target::Stdout => NdjsonWriter::new(Box::new(std::io::stdout().lock()) as Box<dyn Write>),
            Target::File(path) => {
                NdjsonWriter::new(Box::new(File::create(path).map_err(io("create", path))?) as Box<dyn Write>)
            }
        };
        let name = stream.as_deref().unwrap_or("the result");
        match place(stations, stream.as_deref()) {
            Some(place @ None) => *place = Some(writer),
            Some(_) => {
                return Err(RunFailure::Options(format!("--to: `{name}` goes to another file already")));
            }
            None => {
                return Err(RunFailure::Options(format!("--to: no pipeline fills the stream `{name}`")));
            }
        }
    }
    Ok(())
}

/// Where the writer of a stream belongs; of the result without a name.
fn place<'a>(stations: &'a mut [Station], stream: Option<&str>) -> Option<&'a mut Option<Writer>> {
    let Some(name) = stream else {
        return stations.iter_mut().find(|station| station.is_last).map(|station| &mut station.writer);
    };
    stations.iter_mut().find_map(|station| {
        if station.into.as_ref().is_some_and(|into| into.stream.as_str() == name) {
            return Some(&mut station.writer);
        }
        let is_late = station.late_into.as_ref().is_some_and(|late| late.as_str() == name);
        is_late.then_some(&mut station.late_writer)
    })
}

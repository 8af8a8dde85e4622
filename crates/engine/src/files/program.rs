//! The statements of a file as a graph of streams and pipelines, and its run.

use std::collections::HashMap;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use arrow::record_batch::RecordBatch;
use springhouse_meta::DEFAULT_WATERMARK_DELAY_US;
use springhouse_model::StreamName;
use springhouse_schema::{Mode, Schema, adapt};

use super::decoding::{Decoded, Rejected};
use super::feed::{Feed, Read};
use super::quarantine::Quarantine;
use super::stations::{Into, Query, Station, open_targets, stations};
use super::{RunFailure, RunOptions, RunStats, Source, io, outputs, tables};
use crate::statement::{self, Select, Statement};
use crate::{Broken, Brought, Catalog, Emitted, FunctionSet, PlanError, StreamTable, declared_schema};

/// Lines that are looked at to find the schema of a stream that is not declared.
const SAMPLE_LINES: usize = 1_000;

pub(super) struct Program {
    inputs: Vec<(StreamName, Source)>,
    schemas: HashMap<StreamName, Arc<Schema>>,
    stations: Vec<Station>,
    /// That decode lines, for each stream.
    threads: usize,
    quarantine: Option<Quarantine>,
    stats: RunStats,
}

/// What the statements of a file ask for, before anything is opened.
#[derive(Default)]
struct Statements {
    declared: Vec<statement::CreateStream>,
    tables: Vec<statement::CreateTable>,
    functions: Vec<statement::CreateFunction>,
    queries: Vec<Query>,
}

impl Statements {
    fn read(sql: &str) -> Result<Statements, RunFailure> {
        let mut found = Statements::default();
        let mut selects = 0;
        for statement in statement::parse(sql).map_err(PlanError::from)? {
            match statement {
                Statement::CreateStream(stream) => found.declared.push(stream),
                Statement::CreateTable(table) => found.tables.push(table),
                Statement::CreateFunction(function) => found.functions.push(function),
                Statement::CreatePipeline(pipeline) => {
                    let names = Some((pipeline.name, pipeline.into));
                    found.queries.push(Query { names, select: pipeline.select });
                }
                Statement::CreateAlert(alert) => {
                    let into = crate::alert_stream(&alert.name)?;
                    found.queries.push(Query { names: Some((alert.name, into)), select: alert.select });
                }
                Statement::Query(text) => {
                    selects += 1;
                    found.queries.push(Query { names: None, select: Select::bare(text) });
                }
                other => {
                    let error =
                        PlanError::new(format!("{} has no meaning in a run over files", other.verb()));
                    return Err(error
                        .with_hint("CREATE STREAM, CREATE TABLE, CREATE FUNCTION, CREATE PIPELINE and one SELECT have")
                        .into());
                }
            }
        }
        match (found.queries.len(), selects) {
            (0, _) => Err(RunFailure::Options("the SQL holds no SELECT and no CREATE PIPELINE".to_owned())),
            (_, 0 | 1) => Ok(found),
            _ => Err(RunFailure::Options(
                "the SQL holds more than one SELECT; hint: CREATE PIPELINE a INTO b AS …".to_owned(),
            )),
        }
    }
}

impl Program {
    pub(super) fn prepare(options: &RunOptions) -> Result<Program, RunFailure> {
        outputs::check(options)?;
        let statements = Statements::read(&options.sql)?;
        let inputs = inputs(options)?;
        let mut catalog = Catalog::default();
        catalog.put_functions(functions(&statements.functions, &options.functions)?);
        let (inputs, tables) = tables::load(&statements.tables, inputs, &options.base)?;
        for (table, _) in &tables {
            catalog.insert_table(table.clone());
        }
        let mut schemas = HashMap::new();
        for stream in &statements.declared {
            let schema = declared_schema(&stream.columns);
            let delay = stream.watermark_delay_us.or(options.watermark_delay_us);
            catalog.insert(StreamTable {
                name: stream.name.clone(),
                schema: schema.clone(),
                watermark_delay_us: delay.unwrap_or(DEFAULT_WATERMARK_DELAY_US),
            });
            schemas.insert(stream.name.clone(), Arc::new(schema));
        }
        for (name, source) in &inputs {
            if !schemas.contains_key(name) {
                let schema = infer(source)?;
                let delay = options.watermark_delay_us.unwrap_or(DEFAULT_WATERMARK_DELAY_US);
                catalog.insert(StreamTable {
                    name: name.clone(),
                    schema: schema.clone(),
                    watermark_delay_us: delay,
                });
                schemas.insert(name.clone(), Arc::new(schema));
            }
        }
        let mut stations = stations(statements.queries, &mut catalog)?;
        stations.iter_mut().for_each(|station| station.look_up(&tables));
        open_targets(&mut stations, &options.to)?;
        let quarantine = options.quarantine.as_deref().map(Quarantine::create).transpose()?;
        let threads = options.threads.map_or_else(cores, NonZero::get);
        let stats = RunStats::default();
        let program = Program { inputs, schemas, stations, threads, quarantine, stats };
        program.check_inputs()?;
        Ok(program)
    }

    pub(super) fn run(mut self) -> Result<RunStats, RunFailure> {
        let mut feeds = self.feeds();
        while let Some(at) = Feed::next_of(&feeds) {
            match feeds[at].read()? {
                Some(read) => self.take(&feeds[at].name, read)?,
                None => self.stats.quarantined += feeds.remove(at).too_long(),
            }
        }
        for at in 0..self.stations.len() {
            let emitted = self.stations[at].pipeline.finish()?;
            self.deliver(at, emitted)?;
        }
        for station in &mut self.stations {
            let writers = [station.writer.as_mut(), station.late_writer.as_mut()];
            for writer in writers.into_iter().flatten() {
                writer.flush().map_err(io("write", Path::new("the output")))?;
            }
            self.stats.late += station.pipeline.late();
            if station.is_last {
                self.stats.rows_out += station.pipeline.rows_out();
            }
        }
        if let Some(quarantine) = &mut self.quarantine {
            quarantine.flush()?;
        }
        Ok(self.stats)
    }

    /// A stream that is read from must come from somewhere.
    fn check_inputs(&self) -> Result<(), RunFailure> {
        let filled = |name: &StreamName| {
            self.inputs.iter().any(|(input, _)| input == name)
                || self.stations.iter().any(|station| {
                    let into = station.into.as_ref().map(|into| &into.stream);
                    into == Some(name) || station.late_into.as_ref() == Some(name)
                })
        };
        match self
            .stations
            .iter()
            .flat_map(|station| station.pipeline.plan().source_names())
            .find(|name| !filled(name))
        {
            Some(name) => Err(RunFailure::Options(format!(
                "nothing fills the stream `{name}`; hint: --from {name}=FILE, or `-` for standard input"
            ))),
            None => Ok(()),
        }
    }

    /// The streams, in the order in which they are named.
    fn feeds(&mut self) -> Vec<Feed> {
        let mut feeds: Vec<Feed> = Vec::new();
        for (name, source) in std::mem::take(&mut self.inputs) {
            let known = feeds.iter().position(|feed| feed.name == name);
            let at = known.unwrap_or_else(|| {
                let schema = Arc::clone(&self.schemas[&name]);
                feeds.push(Feed::new(name, schema, self.threads));
                feeds.len() - 1
            });
            feeds[at].add(source);
        }
        feeds
    }

    fn take(&mut self, name: &StreamName, read: Read) -> Result<(), RunFailure> {
        let Read { decoded: Decoded { batch, rejected, .. }, first_line } = read;
        self.stats.quarantined += rejected.len() as u64;
        for Rejected { index, line, why } in rejected {
            let number = first_line + index;
            self.stats.first_quarantined.get_or_insert_with(|| format!("line {number} of `{name}`: {why}"));
            if let Some(quarantine) = &mut self.quarantine {
                quarantine.write(name, number, &line, &why)?;
            }
        }
        self.stats.events += batch.num_rows() as u64;
        self.spread(name, &batch)
    }

    /// Gives a batch of a stream to all that read it.
    fn spread(&mut self, name: &StreamName, batch: &RecordBatch) -> Result<(), RunFailure> {
        for at in 0..self.stations.len() {
            let pipeline = &mut self.stations[at].pipeline;
            if let Some(source) = pipeline.plan().source_at(name) {
                let emitted = pipeline.push(source, batch)?;
                self.deliver(at, emitted)?;
            }
        }
        Ok(())
    }

    /// Writes what a pipeline gave and hands it on.
    fn deliver(&mut self, at: usize, emitted: Emitted) -> Result<(), RunFailure> {
        let station = &mut self.stations[at];
        let (into, late_into) = (station.into.clone(), station.late_into.clone());
        let plan = Arc::clone(station.pipeline.plan());
        for batch in &emitted.rows {
            if let Some(writer) = &mut self.stations[at].writer {
                writer.write(batch, plan.selected_columns()).map_err(io("write", Path::new("the output")))?;
            }
            match &into {
                Some(Into { stream, columns: Some(columns) }) => {
                    let batch = adapt(batch, columns).map_err(|error| PlanError::new(error.to_string()))?;
                    self.spread(stream, &batch)?;
                }
                Some(Into { stream, columns: None }) => self.spread(stream, batch)?,
                None => {}
            }
        }
        for broken in &emitted.broken {
            self.put_aside(into.as_ref().map(|into| &into.stream), broken)?;
        }
        for batch in &emitted.late {
            if let Some(writer) = &mut self.stations[at].late_writer {
                // All but the two system columns behind the properties.
                let columns: Vec<usize> = (0..batch.num_columns() - 2).collect();
                writer.write(batch, &columns).map_err(io("write", Path::new("the late rows")))?;
            }
            if let Some(into) = &late_into {
                self.spread(into, batch)?;
            }
        }
        Ok(())
    }

    fn put_aside(&mut self, into: Option<&StreamName>, broken: &Broken) -> Result<(), RunFailure> {
        self.stats.broken += 1;
        self.stats.first_broken.get_or_insert_with(|| broken.why.clone());
        match &mut self.quarantine {
            Some(quarantine) => quarantine.write_row(into, broken),
            None => Ok(()),
        }
    }
}

fn cores() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}

/// Those of the statements, and those of components.
fn functions(written: &[statement::CreateFunction], files: &[PathBuf]) -> Result<FunctionSet, RunFailure> {
    let mut brought = Vec::new();
    for file in files {
        let bytes = std::fs::read(file).map_err(io("read", file))?;
        brought.push(Brought::read(&bytes).map_err(|error| PlanError {
            message: format!("`{}`: {}", file.display(), error.message),
            ..error
        })?);
    }
    Ok(FunctionSet::declared(written, brought)?)
}

fn inputs(options: &RunOptions) -> Result<Vec<(StreamName, Source)>, RunFailure> {
    let mut inputs = Vec::new();
    for (name, source) in &options.from {
        let name: StreamName =
            name.parse().map_err(|error| RunFailure::Options(format!("--from: {error}")))?;
        let repeated_stdin =
            *source == Source::Stdin && inputs.iter().any(|(_, earlier)| *earlier == Source::Stdin);
        if repeated_stdin {
            return Err(RunFailure::Options("standard input can be read only once".to_owned()));
        }
        inputs.push((name, source.clone()));
    }
    Ok(inputs)
}

/// The schema of the first lines of a file. Standard input cannot be read twice.
fn infer(source: &Source) -> Result<Schema, RunFailure> {
    if *source == Source::Stdin {
        return Err(RunFailure::Options(
            "the columns of standard input must be declared; hint: CREATE STREAM name (power DOUBLE, …) in the SQL".to_owned(),
        ));
    }
    let mut lines = source.open().map_err(io("open", source.path()))?;
    let piece = lines.next().map_err(io("read", source.path()))?.unwrap_or_default();
    let mut schema = Schema { version: 1, fields: Vec::new(), additional: true, inferred: true };
    for line in
        piece.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()).take(SAMPLE_LINES)
    {
        if let Ok(Some(wider)) = schema.widened_in(Mode::File, line) {
            schema = wider;
        }
    }
    schema.version = 1;
    Ok(schema)
}

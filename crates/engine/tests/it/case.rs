//! SQL with its input and output, run in every way in which the rows must be the same.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use springhouse_engine::files::{self, RunOptions, Source, Target};
use springhouse_engine::plan::{Plan, plan};
use springhouse_engine::statement::{
    self, CreateStream, CreateTable, RowFormat, RowSource, Select, Statement,
};
use springhouse_engine::tables::{self, Definition, TableRows};
use springhouse_engine::{
    Catalog, Emitted, FunctionSet, LookupTable, Pipeline, StreamTable, declared_schema,
};
use springhouse_schema::{Decoder, Limits, Mode, Origin};

use crate::hub::lines;

/// Lines of the streams that have some.
pub type Lines = BTreeMap<String, Vec<String>>;

/// The stream under whose name the result itself stands.
pub const RESULT: &str = "";

/// Runs statements with `springhouse run`'s function; returns the rows of the result and of the streams asked for.
pub fn by_files(sql: &str, input: &Lines, wanted: &[&str]) -> Result<Lines, String> {
    let dir = tempfile::tempdir().unwrap();
    let file = |kind: &str, name: &str| dir.path().join(format!("{kind}-{name}.ndjson"));
    let files = input.iter().filter(|(name, _)| is_file(name));
    files.for_each(|(name, lines)| fs::write(dir.path().join(name), lines.join("\n")).unwrap());
    let from = input.iter().filter(|(name, _)| !is_file(name)).map(|(stream, lines)| {
        let path = file("in", stream);
        fs::write(&path, lines.join("\n")).unwrap();
        (stream.clone(), Source::File(path))
    });
    let to = wanted.iter().map(|stream| {
        let name = (*stream != RESULT).then(|| (*stream).to_owned());
        (name, Target::File(file("out", stream)))
    });
    let options = RunOptions {
        sql: sql.to_owned(),
        base: dir.path().to_owned(),
        from: from.collect(),
        to: to.collect(),
        ..RunOptions::default()
    };
    files::run(&options).map_err(|failure| failure.to_string())?;
    let read = |stream: &&str| {
        let text = fs::read_to_string(file("out", stream)).unwrap();
        ((*stream).to_owned(), text.lines().map(str::to_owned).collect())
    };
    Ok(wanted.iter().map(read).collect())
}

/// Input of a table stands under the name of its file.
fn is_file(name: &str) -> bool {
    [".csv", ".ndjson"].iter().any(|end| name.ends_with(end))
}

/// A single query with its declared sources, to be driven batch by batch.
pub struct Single {
    pub plan: Arc<Plan>,
    pub late_stream: Option<String>,
    /// One for each source, read one after the other as files are.
    batches: Vec<RecordBatch>,
    /// One for each table.
    tables: Vec<Arc<TableRows>>,
}

impl Single {
    /// `None` for statements that are more than one query over declared streams.
    pub fn of(sql: &str, input: &Lines) -> Option<Single> {
        let (mut streams, mut tables, mut queries) = (Vec::new(), Vec::new(), Vec::new());
        let mut functions = Vec::new();
        for statement in statement::parse(sql).unwrap() {
            match statement {
                Statement::CreateStream(stream) => streams.push(stream),
                Statement::CreateTable(table) => tables.push(table),
                Statement::CreateFunction(function) => functions.push(function),
                Statement::CreatePipeline(pipeline) => {
                    queries.push((Some(format!("{}.late", pipeline.name)), pipeline.select));
                }
                Statement::CreateAlert(alert) => {
                    queries.push((Some(format!("{}.late", alert.name)), alert.select));
                }
                Statement::Query(text) => queries.push((None, Select::bare(text))),
                _ => return None,
            }
        }
        let [(late_stream, select)] = <[_; 1]>::try_from(queries).ok()?;
        let mut catalog = Catalog::new(streams.iter().map(table));
        catalog.put_functions(FunctionSet::declared(&functions, Vec::new()).unwrap());
        for table in &tables {
            let definition = Definition::of(table);
            catalog.insert_table(LookupTable { name: table.name.clone(), id: 0, definition });
        }
        let plan = Arc::new(plan(&select, &catalog).unwrap());
        let read = |source: &StreamTable| {
            let lines = input.get(source.name.as_str()).cloned().unwrap_or_default();
            decode(Arc::new(source.schema.clone()), &lines)
        };
        let batches = plan.sources.iter().map(read).collect();
        let rows = |wanted: &Arc<LookupTable>| {
            let table = tables.iter().find(|table| table.name == wanted.name).unwrap();
            Arc::new(rows_of(table, &wanted.definition, input))
        };
        let tables = plan.tables.iter().map(rows).collect();
        Some(Single { plan, late_stream, batches, tables })
    }

    fn look_up(&self, mut pipeline: Pipeline) -> Pipeline {
        self.tables.iter().enumerate().for_each(|(at, rows)| pipeline.put_table(at, rows));
        pipeline
    }

    /// The rows and the late rows when the input comes in pieces of `rows`, with a restart after each if wanted.
    pub fn run(&self, rows: usize, restarts: bool) -> (Vec<String>, Vec<String>) {
        let mut pipeline = self.look_up(self.plan.start());
        let (mut out, mut late) = (Vec::new(), Vec::new());
        let mut take = |emitted: Emitted| {
            for batch in emitted.rows {
                out.extend(lines(&batch.project(self.plan.selected_columns()).unwrap(), &[]));
            }
            for batch in emitted.late {
                late.extend(lines(&batch, &["_received", "_id"]));
            }
        };
        for (source, batch) in self.batches.iter().enumerate() {
            let mut from = 0;
            while from < batch.num_rows() {
                let count = rows.min(batch.num_rows() - from);
                take(pipeline.push(source, &batch.slice(from, count)).unwrap());
                from += count;
                if restarts {
                    pipeline = self.look_up(restarted(&self.plan, pipeline));
                }
            }
        }
        take(pipeline.finish().unwrap());
        (out, late)
    }
}

fn rows_of(table: &CreateTable, definition: &Definition, input: &Lines) -> TableRows {
    let (lines, format) = match &table.source {
        RowSource::Place { place, format } => (&input[place], *format),
        _ => (&input[table.name.as_str()], RowFormat::Ndjson),
    };
    let bytes = lines.join("\n").into();
    tables::read_bytes(definition, "rows", bytes, format, tables::Bounds::default()).unwrap()
}

/// Runs a plan over a stream that comes in pieces of these sizes, used in turn, with a restart after so many of them (0 for
/// never), to its end. Returns all that came out, and the pipeline.
pub fn driven(
    plan: &Arc<Plan>,
    batch: &RecordBatch,
    cuts: &[usize],
    restart_every: usize,
) -> (Emitted, Pipeline) {
    let mut pipeline = plan.start();
    let mut all = Emitted::default();
    let mut take = |emitted: Emitted| {
        all.rows.extend(emitted.rows);
        all.late.extend(emitted.late);
        all.broken.extend(emitted.broken);
    };
    let mut from = 0;
    let mut pieces = cuts.iter().cycle().zip(1..);
    while from < batch.num_rows() {
        let (cut, number) = pieces.next().unwrap();
        let count = (*cut).min(batch.num_rows() - from);
        take(pipeline.push(0, &batch.slice(from, count)).unwrap());
        from += count;
        if restart_every > 0 && number % restart_every == 0 {
            pipeline = restarted(plan, pipeline);
        }
    }
    take(pipeline.finish().unwrap());
    (all, pipeline)
}

/// The columns that the SELECT named, a text for each row.
pub fn selected(plan: &Plan, batches: &[RecordBatch]) -> Vec<String> {
    let texts = |batch: &RecordBatch| lines(&batch.project(plan.selected_columns()).unwrap(), &[]);
    batches.iter().flat_map(texts).collect()
}

/// Time, device and by how much it was late, a text for each row.
pub fn late(batches: &[RecordBatch]) -> Vec<String> {
    let rows = batches.iter().flat_map(|batch| lines(batch, &[]));
    rows.map(|line| {
        let row: serde_json::Value = serde_json::from_str(&line).unwrap();
        format!("{}{} {}", row["ts"], row["device"].as_str().unwrap(), row["late_by_us"])
    })
    .collect()
}

/// The pipeline that goes on from where another one was.
pub fn restarted(plan: &Arc<Plan>, mut pipeline: Pipeline) -> Pipeline {
    let state = pipeline.snapshot().unwrap();
    let mut restored = plan.start();
    restored.restore(&state).unwrap();
    restored
}

pub fn table(stream: &CreateStream) -> StreamTable {
    StreamTable {
        name: stream.name.clone(),
        schema: declared_schema(&stream.columns),
        watermark_delay_us: stream.watermark_delay_us.unwrap_or(springhouse_meta::DEFAULT_WATERMARK_DELAY_US),
    }
}

pub fn decode(schema: Arc<springhouse_schema::Schema>, lines: &[String]) -> RecordBatch {
    let mut decoder = Decoder::new(schema, Mode::File, Limits::default());
    for line in lines {
        // Lines that do not fit are for the quarantine, as in a run over files.
        let _ = decoder.decode(&Origin::default(), line.as_bytes());
    }
    decoder.finish().unwrap()
}

/// Checks the result, and the rows of the streams named in `expected`, in every way to run the statements.
pub fn check(place: &str, sql: &str, input: &Lines, expected: &Lines) {
    let wanted: Vec<&str> = expected.keys().map(String::as_str).collect();
    let found = by_files(sql, input, &wanted).unwrap_or_else(|error| panic!("{place}: {error}"));
    for (stream, rows) in expected {
        assert_same(&format!("{place}, {stream}"), &found[stream], rows);
    }
    let Some(single) = Single::of(sql, input) else { return };
    for (rows, restarts) in [(1, false), (1, true), (3, true), (usize::MAX, false)] {
        let (out, late) = single.run(rows, restarts);
        let place = format!("{place}, batches of {rows}, restarts {restarts}");
        if let Some(expected) = expected.get(RESULT) {
            assert_same(&place, &out, expected);
        }
        if let Some(expected) = single.late_stream.as_ref().and_then(|stream| expected.get(stream)) {
            assert_same(&format!("{place}, late"), &late, expected);
        }
    }
}

fn assert_same(place: &str, found: &[String], expected: &[String]) {
    assert!(found == expected, "{place}\nfound\n{}\nexpected\n{}", found.join("\n"), expected.join("\n"));
}

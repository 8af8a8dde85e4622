//! What a set of statements would change if it were all that a tenant has: the plan of `springhouse pipeline apply`.
//!
//! Statements come in any order. Each is planned once the streams that it reads are known: those that are there, those
//! that another statement declares, and those that another statement fills, with the columns that they will have then.
//! Nothing is changed, and one wrong statement is told beside the others.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use springhouse_meta::{DEFAULT_WATERMARK_DELAY_US, PipelineEntry};
use springhouse_model::{StreamKey, StreamName, TenantId};

use super::change::{Change, ChangeKind, StateChange};
use super::create::first_change;
use super::draft::{Draft, kind_name};
use super::functions::{component_of, refusal};
use super::targets::{Target, target_streams};
use super::{Engine, EngineError, Shared};
use crate::functions::{Programs, check_name};
use crate::statement::{self, CreateFunction, CreateStream, CreateTable, Position, Statement, is_same};
use crate::tables::Definition;
use crate::{Catalog, LookupTable, Plan, PlanError, StreamTable, declared_schema, late_stream, target};

/// What would be done, in the order in which it can be done.
#[derive(Clone, Debug, Default)]
pub struct Proposal {
    /// Pipelines and alerts that no statement makes.
    pub drops: Vec<ProposedDrop>,
    pub steps: Vec<ProposedStep>,
    /// As long as there is one, nothing should be done.
    pub errors: Vec<ProposedError>,
}

#[derive(Clone, Debug)]
pub struct ProposedDrop {
    /// `pipeline` or `alert`.
    pub what: &'static str,
    pub name: String,
}

#[derive(Clone, Debug)]
pub struct ProposedStep {
    /// Which of the statements, from 0.
    pub statement: usize,
    /// `stream`, `table`, `function`, `pipeline` or `alert`.
    pub what: &'static str,
    pub name: StreamName,
    pub kind: ChangeKind,
    /// Functions of which a pipeline takes another definition, as in [`Change`].
    pub functions: Vec<String>,
    pub state: StateChange,
}

/// Why a statement cannot be carried out.
#[derive(Clone, Debug)]
pub struct ProposedError {
    pub statement: usize,
    pub at: Position,
    pub message: String,
}

impl Engine {
    /// Compares statements with what a tenant has. Each text may begin with blanks that keep its place in a file.
    pub async fn propose(&self, tenant: &TenantId, statements: Vec<String>) -> Result<Proposal, EngineError> {
        let (shared, tenant) = (Arc::clone(&self.shared), tenant.clone());
        let work = async move { shared.propose(&tenant, &statements).await };
        self.shared.threads.run(work).await?
    }
}

/// A draft that waits for its streams.
struct Waiting {
    statement: usize,
    start: Position,
    draft: Draft,
}

/// A function that a statement makes.
struct WrittenFunction {
    statement: usize,
    start: Position,
    function: CreateFunction,
}

/// The statements as far as they have been dealt with.
struct Work<'a> {
    shared: &'a Shared,
    tenant: &'a TenantId,
    existing: HashMap<String, PipelineEntry>,
    catalog: Catalog,
    /// Streams that are declared and not there yet.
    declared: HashSet<StreamName>,
    /// Which draft fills a stream.
    fills: HashMap<StreamName, StreamName>,
    proposal: Proposal,
}

impl Shared {
    async fn propose(&self, tenant: &TenantId, statements: &[String]) -> Result<Proposal, EngineError> {
        let entries = self.meta.pipelines(Some(tenant)).await?;
        let mut work = Work {
            shared: self,
            tenant,
            existing: entries.into_iter().map(|entry| (entry.name.clone(), entry)).collect(),
            catalog: self.catalog(tenant),
            declared: HashSet::new(),
            fills: HashMap::new(),
            proposal: Proposal::default(),
        };
        let (mut waiting, functions) = work.read(statements);
        let components = functions.iter().filter_map(|one| component_of(&one.function)).collect();
        let programs = self.functions.programs(self.meta.as_ref(), tenant, components).await?;
        work.functions(&functions, &programs);
        let mut kept: HashSet<String> = HashSet::new();
        for one in &waiting {
            kept.insert(one.draft.name.to_string());
            // Known again, with the columns of the statement, once that has been planned.
            work.forget_outputs(&one.draft);
        }
        loop {
            let before = waiting.len();
            let mut still = Vec::new();
            for one in waiting {
                match crate::plan::plan(&one.draft.select, &work.catalog) {
                    Ok(plan) => work.settle(one, plan).await?,
                    Err(_) => still.push(one),
                }
            }
            waiting = still;
            if waiting.is_empty() || waiting.len() == before {
                break;
            }
        }
        for one in waiting {
            work.refuse(one);
        }
        let mut drops: Vec<&PipelineEntry> =
            work.existing.values().filter(|entry| !kept.contains(&entry.name)).collect();
        drops.sort_unstable_by_key(|entry| entry.id);
        let drop =
            |entry: &PipelineEntry| ProposedDrop { what: kind_name(&entry.kind), name: entry.name.clone() };
        work.proposal.drops = drops.into_iter().map(drop).collect();
        work.proposal.errors.sort_by_key(|error| error.statement);
        Ok(work.proposal)
    }
}

impl Work<'_> {
    /// Streams and tables are settled at once; pipelines and alerts wait for those that they read, and functions for one
    /// another.
    fn read(&mut self, statements: &[String]) -> (Vec<Waiting>, Vec<WrittenFunction>) {
        let (mut waiting, mut functions) = (Vec::new(), Vec::new());
        let mut names: HashSet<(&str, StreamName)> = HashSet::new();
        for (number, text) in statements.iter().enumerate() {
            let start = beginning(text);
            let statement = match statement::parse_one(text) {
                Ok(statement) => statement,
                Err(error) => {
                    self.error(number, start, &PlanError::from(error));
                    continue;
                }
            };
            let draft = match Draft::of(&statement) {
                Ok(draft) => draft,
                Err(error) => {
                    self.error(number, start, &PlanError::new(error.to_string()));
                    continue;
                }
            };
            // Functions have names of their own, and so have pipelines.
            let (space, name) = match (&statement, &draft) {
                (Statement::CreateStream(stream), _) => ("stream", stream.name.clone()),
                (Statement::CreateTable(table), _) => ("stream", table.name.clone()),
                (Statement::CreateFunction(function), _) => ("function", function.name.clone()),
                (_, Some(draft)) => ("pipeline", draft.name.clone()),
                (other, None) => {
                    let error = PlanError::new(format!("{} cannot stand in a folder", other.verb()));
                    let hint = "CREATE STREAM, TABLE, FUNCTION, PIPELINE and ALERT say what there is";
                    self.error(number, start, &error.with_hint(hint));
                    continue;
                }
            };
            if !names.insert((space, name.clone())) {
                let error = PlanError::new(format!("`{name}` is made by another statement too"));
                self.error(number, start, &error);
                continue;
            }
            match (statement, draft) {
                (Statement::CreateStream(stream), _) => self.stream(number, start, &stream),
                (Statement::CreateTable(table), _) => self.table(number, start, &table),
                (Statement::CreateFunction(function), _) => {
                    functions.push(WrittenFunction { statement: number, start, function });
                }
                (_, Some(draft)) => waiting.push(Waiting { statement: number, start, draft }),
                _ => {}
            }
        }
        (waiting, functions)
    }

    /// What pipelines and alerts will call, each function before those that call it.
    fn functions(&mut self, written: &[WrittenFunction], programs: &Programs) {
        let statements: Vec<CreateFunction> = written.iter().map(|one| one.function.clone()).collect();
        let present = self.shared.functions.set(self.tenant);
        let (set, refused) = self.shared.functions.with(self.tenant, &statements, programs);
        for (name, error) in refused {
            let is_meant = |one: &&WrittenFunction| {
                let own = one.function.name.as_str();
                own == name || present.callers_of(own).contains(&name.as_str())
            };
            if let Some(one) = written.iter().find(is_meant) {
                self.error(one.statement, one.start, &refusal(one.function.name.as_str(), &name, error));
            }
        }
        let calls = |one: &WrittenFunction| {
            set.get(one.function.name.as_str()).map_or(0, |function| function.calls.len())
        };
        let mut in_order: Vec<&WrittenFunction> = written.iter().collect();
        // A function calls more than each of those that it calls.
        in_order.sort_by_key(|one| (calls(one), one.statement));
        for one in in_order {
            let name = one.function.name.clone();
            let kind = match present.get(name.as_str()) {
                Some(function) if is_same(&function.sql, &one.function.text) => ChangeKind::Unchanged,
                Some(_) => ChangeKind::Replace,
                None => ChangeKind::Create,
            };
            if let (ChangeKind::Create, Err(error)) = (kind, check_name(name.as_str())) {
                self.error(one.statement, one.start, &error);
            }
            self.step(one.statement, "function", name, kind);
        }
        self.catalog.put_functions(set);
    }

    /// What has no state.
    fn step(&mut self, statement: usize, what: &'static str, name: StreamName, kind: ChangeKind) {
        let (functions, state) = (Vec::new(), StateChange::default());
        self.proposal.steps.push(ProposedStep { statement, what, name, kind, functions, state });
    }

    fn stream(&mut self, number: usize, start: Position, stream: &CreateStream) {
        let key = StreamKey::new(self.tenant.clone(), stream.name.clone());
        let schema = declared_schema(&stream.columns);
        let delay = stream.watermark_delay_us.unwrap_or(DEFAULT_WATERMARK_DELAY_US);
        let kind = match self.shared.streams.entry(&key) {
            None => {
                self.declared.insert(stream.name.clone());
                let name = stream.name.clone();
                self.catalog.insert(StreamTable { name, schema, watermark_delay_us: delay });
                ChangeKind::Create
            }
            Some(entry) => {
                let is_written_so = entry.sql.as_deref().is_some_and(|sql| is_same(sql, &stream.text));
                let is_so = entry.schema.fields == schema.fields
                    && (entry.watermark_delay_us, entry.idle_us) == (delay, stream.idle_us);
                if !is_written_so && !is_so {
                    let error =
                        PlanError::new(format!("stream `{}` is there and is another one", stream.name));
                    let hint = format!("`springhouse schema set {}` lets it grow", stream.name);
                    return self.error(number, start, &error.with_hint(hint));
                }
                ChangeKind::Unchanged
            }
        };
        self.step(number, "stream", stream.name.clone(), kind);
    }

    fn table(&mut self, number: usize, start: Position, table: &CreateTable) {
        let name = table.name.clone();
        let kind = match self.shared.tables.entry(self.tenant, &name) {
            None if self.catalog.stream(name.as_str()).is_some() => {
                let error = PlanError::new(format!("`{name}` is a stream"));
                return self.error(number, start, &error);
            }
            None => {
                let definition = Definition::of(table);
                self.catalog.insert_table(LookupTable { name: name.clone(), id: 0, definition });
                ChangeKind::Create
            }
            Some(entry) if is_same(&entry.sql, &table.text) => ChangeKind::Unchanged,
            Some(_) => {
                let error = PlanError::new(format!("table `{name}` is there and is another one"));
                let hint = format!("DROP TABLE {name} first, and what looks it up before that");
                return self.error(number, start, &error.with_hint(hint));
            }
        };
        self.step(number, "table", name, kind);
    }

    fn forget_outputs(&mut self, draft: &Draft) {
        let late = late_stream(&draft.name).ok();
        for name in [Some(draft.into.clone()), late].into_iter().flatten() {
            if !self.declared.contains(&name) && !self.is_declared(&name) {
                self.catalog.remove(&name);
            }
            self.fills.entry(name).or_insert_with(|| draft.name.clone());
        }
    }

    fn is_declared(&self, name: &StreamName) -> bool {
        let entry = self.shared.streams.entry(&StreamKey::new(self.tenant.clone(), name.clone()));
        entry.is_some_and(|entry| entry.origin == springhouse_meta::Origin::Declared)
    }

    /// A draft whose streams are known.
    async fn settle(&mut self, one: Waiting, plan: Plan) -> Result<(), EngineError> {
        let Waiting { statement, start, draft } = one;
        match self.change(&draft, &plan).await {
            Ok(change) => {
                let Change { what, name, kind, functions, state, .. } = change;
                self.proposal.steps.push(ProposedStep { statement, what, name, kind, functions, state });
            }
            Err(error) if error.is_passing() => return Err(error),
            Err(error) => self.error(statement, start, &PlanError::new(error.to_string())),
        }
        Ok(())
    }

    async fn change(&mut self, draft: &Draft, plan: &Plan) -> Result<Change, EngineError> {
        let refuse = |stream: &StreamName, why: String| EngineError::Target {
            name: draft.name.clone(),
            stream: stream.clone(),
            why,
        };
        if let (Some(why), "pipeline") = (target::reserved(&draft.into), draft.kind_name()) {
            return Err(refuse(&draft.into, why.to_owned()));
        }
        if let Some(other) = self.fills.get(&draft.into).filter(|other| **other != draft.name) {
            return Err(refuse(&draft.into, format!("`{other}` is to fill it")));
        }
        let delays = [plan.output_delay_us, plan.late_delay_us()];
        for ((key, schema), watermark_delay_us) in
            target_streams(self.tenant, draft, plan)?.into_iter().zip(delays)
        {
            let name = key.name.clone();
            if self.catalog.table(name.as_str()).is_some() {
                return Err(refuse(&name, "it is a table".to_owned()));
            }
            if let Some(table) = self.catalog.stream(name.as_str()).filter(|_| self.declared.contains(&name))
            {
                target::widened(&table.schema, true, &schema).map_err(|why| refuse(&name, why))?;
                continue;
            }
            let schema = match self.shared.check_target(&key, draft, &schema)? {
                Target::Narrow(wider) => wider,
                Target::Missing => schema,
                Target::Fits => match self.shared.streams.entry(&key) {
                    Some(entry) => entry.schema.clone(),
                    None => schema,
                },
            };
            self.catalog.insert(StreamTable { name, schema, watermark_delay_us });
        }
        let Some(existing) = self.existing.get(draft.name.as_str()) else { return first_change(draft, plan) };
        if kind_name(&existing.kind) != draft.kind_name() {
            return Err(EngineError::Exists { kind: kind_name(&existing.kind), name: draft.name.clone() });
        }
        let old = self.shared.planned(existing).await.ok();
        self.shared.difference(existing, old.as_deref(), draft, plan)
    }

    /// A draft that could not be planned, with the reason.
    fn refuse(&mut self, one: Waiting) {
        let Err(error) = crate::plan::plan(&one.draft.select, &self.catalog) else { return };
        let unknown = |stream: &StreamName| error.message.starts_with(&format!("stream `{stream}` does not"));
        let error = match self.fills.iter().find(|(stream, _)| unknown(stream)) {
            Some((stream, by)) => PlanError {
                message: format!("it reads `{stream}`, which `{by}` is to fill, and that cannot run before"),
                hint: Some("rows must not come back to where they were made from".to_owned()),
                ..error
            },
            None => error,
        };
        self.error(one.statement, one.start, &error);
    }

    fn error(&mut self, statement: usize, start: Position, error: &PlanError) {
        let at = error.at.unwrap_or(start);
        let message = PlanError { at: None, ..error.clone() }.to_string();
        self.proposal.errors.push(ProposedError { statement, at, message });
    }
}

/// Where a text begins behind the blanks in front of it.
fn beginning(text: &str) -> Position {
    let blanks = &text[..text.len() - text.trim_start().len()];
    let last_line = blanks.rsplit('\n').next().unwrap_or_default();
    let count = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
    Position {
        line: count(blanks.matches('\n').count()).saturating_add(1),
        column: count(last_line.chars().count()).saturating_add(1),
    }
}

//! The functions that a statement may call.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use datafusion::logical_expr::ScalarUDF;
use datafusion::sql::sqlparser::ast::Expr;
use springhouse_meta::FunctionDefinition;
use springhouse_wasm::Digest;

use super::function::Exported;
use super::{Brought, ComponentCall, Function, Programs, body, check_name};
use crate::PlanError;
use crate::statement::{self, CreateFunction, FunctionBody, Statement};

/// Functions of one tenant, or those that a version of a pipeline goes by. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct FunctionSet {
    functions: Arc<BTreeMap<String, Arc<Function>>>,
}

/// Why a function cannot be called.
pub(crate) type Refusal = (String, PlanError);

/// A definition that waits for those that it calls.
struct Waiting {
    statement: CreateFunction,
    version: u32,
    expr: Expr,
    /// The functions that it calls by name.
    calls: BTreeSet<String>,
}

impl FunctionSet {
    /// Reads definitions, in whatever order they call one another; those that cannot be are left out and told.
    pub(crate) fn of(definitions: &[FunctionDefinition], programs: &Programs) -> (FunctionSet, Vec<Refusal>) {
        FunctionSet::with(definitions, &[], programs)
    }

    /// The same with others, each in the place of the one of its name.
    pub(crate) fn with(
        definitions: &[FunctionDefinition],
        others: &[CreateFunction],
        programs: &Programs,
    ) -> (FunctionSet, Vec<Refusal>) {
        let of = |other: &CreateFunction| {
            definitions.iter().find(|definition| definition.name == other.name.as_str())
        };
        let version = |other: &CreateFunction| of(other).map_or(0, |before| before.version).saturating_add(1);
        let mut statements: Vec<(CreateFunction, u32)> =
            others.iter().map(|other| (other.clone(), version(other))).collect();
        let mut refused = Vec::new();
        let is_replaced = |name: &str| others.iter().any(|other| other.name.as_str() == name);
        for definition in definitions.iter().filter(|definition| !is_replaced(&definition.name)) {
            match read(&definition.sql) {
                Ok(statement) => statements.push((statement, definition.version)),
                Err(error) => refused.push((definition.name.clone(), error)),
            }
        }
        let (set, more) = FunctionSet::made(statements, programs);
        refused.extend(more);
        (set, refused)
    }

    /// As [`FunctionSet::of`], of functions and components without a store, of which none may be refused.
    pub fn declared(written: &[CreateFunction], brought: Vec<Brought>) -> Result<FunctionSet, PlanError> {
        let (mut functions, mut programs) = (written.to_vec(), Programs::default());
        for component in brought {
            functions.extend(component.functions);
            programs.insert(component.program);
        }
        for (at, function) in functions.iter().enumerate() {
            check_name(function.name.as_str())?;
            if functions[..at].iter().any(|earlier| earlier.name == function.name) {
                return Err(PlanError::new(format!("function `{}` is made twice", function.name)));
            }
        }
        let statements = functions.iter().map(|function| (function.clone(), 1)).collect();
        let (set, mut refused) = FunctionSet::made(statements, &programs);
        match refused.pop() {
            None => Ok(set),
            Some((_, error)) => Err(error),
        }
    }

    fn made(statements: Vec<(CreateFunction, u32)>, programs: &Programs) -> (FunctionSet, Vec<Refusal>) {
        let names: BTreeSet<String> =
            statements.iter().map(|(statement, _)| statement.name.to_string()).collect();
        let (mut waiting, mut refused): (Vec<Waiting>, Vec<Refusal>) = Default::default();
        for (statement, version) in statements {
            match body::read(&statement) {
                Ok(expr) => {
                    let calls = match statement.body {
                        FunctionBody::Sql { .. } => body::calls(&expr),
                        FunctionBody::Component { .. } => BTreeSet::new(),
                    };
                    let calls = calls.into_iter().filter(|name| names.contains(name)).collect();
                    waiting.push(Waiting { statement, version, expr, calls });
                }
                Err(error) => refused.push((statement.name.to_string(), error)),
            }
        }
        let mut set = FunctionSet::default();
        loop {
            let before = waiting.len();
            let ready: Vec<Waiting> =
                waiting.extract_if(.., |one| one.calls.iter().all(|call| set.get(call).is_some())).collect();
            for one in ready {
                match one.made(&set, programs) {
                    Ok(function) => set.insert(function),
                    Err(error) => refused.push((one.statement.name.to_string(), error)),
                }
            }
            if waiting.is_empty() || waiting.len() == before {
                break;
            }
        }
        let stuck: Vec<Refusal> = waiting.iter().map(|one| one.stuck(&waiting, &refused)).collect();
        refused.extend(stuck);
        (set, refused)
    }

    fn insert(&mut self, function: Function) {
        Arc::make_mut(&mut self.functions).insert(function.name.clone(), Arc::new(function));
    }

    pub fn get(&self, name: &str) -> Option<&Arc<Function>> {
        self.functions.get(name)
    }

    /// The function of a component, as the planner knows it.
    pub fn exported(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        self.functions.get(name)?.exported().cloned()
    }

    /// The components that functions are made of.
    pub(crate) fn programs(&self) -> Programs {
        let mut programs = Programs::default();
        programs.extend(self.iter().filter_map(|function| function.component().cloned()));
        programs
    }

    pub fn is_empty(&self) -> bool {
        self.functions.is_empty()
    }

    /// By name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Function>> {
        self.functions.values()
    }

    /// The functions that call one, directly or through others.
    pub(crate) fn callers_of(&self, name: &str) -> Vec<&str> {
        self.iter()
            .filter(|function| function.calls.contains(name))
            .map(|caller| caller.name.as_str())
            .collect()
    }
}

impl Waiting {
    fn made(&self, set: &FunctionSet, programs: &Programs) -> Result<Function, PlanError> {
        let (statement, version, mut expr) = (&self.statement, self.version, self.expr.clone());
        match &statement.body {
            FunctionBody::Sql { at, .. } => {
                let here = |error: PlanError| PlanError { at: error.at.or(Some(*at)), ..error };
                let used = set.expand(&mut expr).map_err(here)?;
                body::check(&expr, statement, set).map_err(here)?;
                let calls = used.iter().map(|function| function.name.clone()).collect();
                Ok(Function::new(statement, version, calls, expr, None))
            }
            FunctionBody::Component { digest, export } => {
                let program = programs.get(digest).ok_or_else(|| missing(digest))?;
                let function = Arc::new(ComponentCall::function(statement, export, program));
                let exported = Exported { program: Arc::clone(program), function };
                Ok(Function::new(statement, version, BTreeSet::new(), expr, Some(exported)))
            }
        }
    }

    /// It waits for itself, for one that waits too, or for one that is refused.
    fn stuck(&self, waiting: &[Waiting], refused: &[Refusal]) -> Refusal {
        let name = self.statement.name.as_str();
        let missing = |call: &&String| refused.iter().any(|(refused, _)| refused == *call);
        let error = match self.calls.iter().find(missing) {
            Some(call) => PlanError::new(format!("function `{name}` calls `{call}`, which cannot be called")),
            None => {
                let waits = |call: &&String| waiting.iter().any(|one| one.statement.name.as_str() == **call);
                let through = match self.calls.iter().find(waits).filter(|call| call.as_str() != name) {
                    Some(call) => format!(" through `{call}`"),
                    None => String::new(),
                };
                let message = format!("function `{name}` calls itself{through}");
                PlanError::new(message).with_hint("a call is written out, which would never end")
            }
        };
        (name.to_owned(), error)
    }
}

fn missing(digest: &Digest) -> PlanError {
    PlanError::new(format!("there is no component with the SHA-256 {digest}"))
        .with_hint("springhouse function add FILE.wasm brings one, with all that it exports")
}

fn read(sql: &str) -> Result<CreateFunction, PlanError> {
    match statement::parse_one(sql)? {
        Statement::CreateFunction(function) => Ok(function),
        other => Err(PlanError::new(format!("{} makes no function", other.verb()))),
    }
}

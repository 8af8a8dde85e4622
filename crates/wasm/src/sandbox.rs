//! Where a component runs: instances that wait for rows.

use std::fmt;
use std::sync::Arc;

use arrow::array::ArrayRef;
use parking_lot::Mutex;
use wasmtime::component::Val;

use crate::column::{Arguments, Results};
use crate::component::Component;
use crate::export::Export;
use crate::instance::{Instance, reason};

/// Of one column: many rows that each give a long text must not fill the memory.
const TEXTS_BYTES_MAX: usize = 64 << 20;
/// Whoever calls is asked whether to go on after so many steps …
const STEPS_BETWEEN: u64 = 5_000_000;
/// … of which a call takes these beside its own.
const STEPS_PER_CALL: u64 = 500;

/// Instances of one component. There are as many as threads have called it at the same time; each takes one, and gives it back for the
/// next batch. Those who must not learn of one another have a sandbox each.
pub struct Sandbox {
    component: Arc<Component>,
    idle: Mutex<Vec<Instance>>,
}

/// A row for which a function has no value, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Failure {
    pub row: usize,
    pub why: String,
}

/// Why a column is not there.
#[derive(Debug)]
pub enum Stopped<E> {
    /// The first row without a value.
    Failed(Failure),
    /// The caller did not want to go on.
    Interrupted(E),
}

impl Sandbox {
    pub fn new(component: Arc<Component>) -> Sandbox {
        Sandbox { component, idle: Mutex::default() }
    }

    pub fn component(&self) -> &Arc<Component> {
        &self.component
    }

    /// Calls a function for each row of its arguments, one column for each parameter. `go_on` is asked from time to time.
    pub fn call<E>(
        &self,
        export: &str,
        columns: &[ArrayRef],
        rows: usize,
        go_on: impl Fn() -> Result<(), E>,
    ) -> Result<ArrayRef, Stopped<E>> {
        let unfit = |why: &str| -> Stopped<E> { Stopped::Failed(Failure { row: 0, why: why.to_owned() }) };
        let exports = self.component.exports();
        let at = exports.iter().position(|known| known.name == export);
        let at = at.ok_or_else(|| unfit("the component does not export it"))?;
        let arguments = arguments(&exports[at], columns).ok_or_else(|| unfit("it takes other arguments"))?;
        let mut run = Run { sandbox: self, export: at, instance: self.idle.lock().pop() };
        let column = run.rows(&arguments, rows, go_on);
        self.idle.lock().extend(run.instance);
        column
    }
}

/// A component is told by its exports; code and memory are of no use to a reader.
impl fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sandbox").field("exports", &self.component.exports()).finish_non_exhaustive()
    }
}

fn arguments<'a>(export: &'a Export, columns: &'a [ArrayRef]) -> Option<Vec<Arguments<'a>>> {
    let pairs = export.parameters.iter().zip(columns);
    let arguments: Option<Vec<Arguments<'a>>> =
        pairs.map(|(parameter, column)| Arguments::new(parameter, column)).collect();
    arguments.filter(|_| columns.len() == export.parameters.len())
}

/// One column on its way.
struct Run<'a> {
    sandbox: &'a Sandbox,
    export: usize,
    instance: Option<Instance>,
}

impl Run<'_> {
    fn rows<E>(
        &mut self,
        arguments: &[Arguments<'_>],
        rows: usize,
        go_on: impl Fn() -> Result<(), E>,
    ) -> Result<ArrayRef, Stopped<E>> {
        let mut results = Results::new(self.sandbox.component.exports()[self.export].gives, rows);
        let mut values: Vec<Val> = Vec::with_capacity(arguments.len());
        let mut steps = 0;
        for row in 0..rows {
            if arguments.iter().any(|argument| argument.forbids(row)) {
                results.push_null();
                continue;
            }
            let failed = |why: String| -> Stopped<E> { Stopped::Failed(Failure { row, why }) };
            values.clear();
            for argument in arguments {
                values.push(argument.value(row).map_err(failed)?);
            }
            steps += self.value(&values, &mut results).map_err(failed)? + STEPS_PER_CALL;
            if results.text_bytes() > TEXTS_BYTES_MAX {
                return Err(failed(format!(
                    "it gives more than {TEXTS_BYTES_MAX} bytes for some thousand rows"
                )));
            }
            if steps > STEPS_BETWEEN {
                go_on().map_err(Stopped::Interrupted)?;
                steps = 0;
            }
        }
        Ok(results.finish())
    }

    /// Adds the value of a row; gives the steps that it took. What an instance does that has been called before may come from what it
    /// remembers, such as memory that it never gave back: its trap counts for nothing, and the next instance says what becomes of the row.
    fn value(&mut self, values: &[Val], results: &mut Results) -> Result<u64, String> {
        loop {
            let mut instance = match self.instance.take() {
                Some(instance) => instance,
                None => Instance::new(&self.sandbox.component).map_err(|error| reason(&error))?,
            };
            let was_used = instance.is_used;
            match instance.call(self.export, values) {
                Ok(value) => {
                    let pushed = results.push(value);
                    let steps = instance.steps();
                    self.instance = Some(instance);
                    return pushed.map(|()| steps);
                }
                Err(_) if was_used => {}
                Err(error) => return Err(reason(&error)),
            }
        }
    }
}

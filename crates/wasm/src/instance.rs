//! One instance of a component, and how much it may use.

use wasmtime::component::{Func, Val};
use wasmtime::{Error, Store, StoreLimits, StoreLimitsBuilder, Trap};

use crate::component::Component;

pub(crate) type Bounds = StoreLimits;

/// Steps of one call, about as many operations of WebAssembly. What computes more for one row belongs in a program of its own.
pub(crate) const FUEL_PER_CALL: u64 = 50_000_000;
/// Linear memory. Interpreters begin with about 15 MiB.
const MEMORY_BYTES_MAX: usize = 128 << 20;
/// Entries of a table of functions: as many as the largest interpreters have, times ten.
const TABLE_ENTRIES_MAX: usize = 200_000;
/// A component is made of several modules; one of a toolchain has about ten.
const MODULES_MAX: usize = 100;

pub(crate) struct Instance {
    store: Store<Bounds>,
    /// In the order of the component's exports.
    functions: Vec<Func>,
    result: [Val; 1],
    /// Whether it has been called, so that what it does may come from what it remembers.
    pub is_used: bool,
}

impl Instance {
    pub fn new(component: &Component) -> Result<Instance, Error> {
        let engine = component.code.engine();
        let bounds = StoreLimitsBuilder::new()
            .memory_size(MEMORY_BYTES_MAX)
            .table_elements(TABLE_ENTRIES_MAX)
            .memories(MODULES_MAX)
            .tables(MODULES_MAX)
            .instances(MODULES_MAX)
            // Told as what it is, and not as what the component makes of it.
            .trap_on_grow_failure(true)
            .build();
        let mut store = Store::new(engine, bounds);
        store.limiter(|bounds| bounds);
        store.set_fuel(FUEL_PER_CALL)?;
        let instance = component.code.instantiate(&mut store)?;
        let mut functions = Vec::new();
        for export in component.exports() {
            let found = instance.get_func(&mut store, export.name.as_str());
            functions.push(found.ok_or_else(|| Error::msg(format!("`{}` is not exported", export.name)))?);
        }
        Ok(Instance { store, functions, result: [Val::Bool(false)], is_used: false })
    }

    /// Calls the function at this place among the exports. After an error the instance is of no use.
    pub fn call(&mut self, export: usize, arguments: &[Val]) -> Result<&Val, Error> {
        self.is_used = true;
        self.store.set_fuel(FUEL_PER_CALL)?;
        self.functions[export].call(&mut self.store, arguments, &mut self.result)?;
        Ok(&self.result[0])
    }

    /// Steps of the last call.
    pub fn steps(&self) -> u64 {
        FUEL_PER_CALL.saturating_sub(self.store.get_fuel().unwrap_or_default())
    }
}

/// What went wrong, for whoever wrote the component.
pub(crate) fn reason(error: &Error) -> String {
    match error.downcast_ref::<Trap>() {
        Some(Trap::OutOfFuel) => return format!("it computes longer than {FUEL_PER_CALL} steps"),
        Some(Trap::StackOverflow) => return "it calls itself too deeply".to_owned(),
        Some(Trap::UnreachableCodeReached) => {
            return "it gave up (`unreachable`, as a panic does)".to_owned();
        }
        Some(trap) => return trap.to_string().trim_start_matches("wasm trap: ").to_owned(),
        None => {}
    }
    let text = error.root_cause().to_string();
    if let Some(import) =
        text.strip_prefix("unknown import: `").and_then(|rest| rest.strip_suffix("` has not been defined"))
    {
        return format!("it calls `{import}`, and a function is given nothing but its arguments");
    }
    if text.contains("growing memory") || text.contains("memory minimum size") {
        return format!("it needs more than {} MiB of memory", MEMORY_BYTES_MAX >> 20);
    }
    if text.contains("growing table") {
        return format!("it needs a table of more than {TABLE_ENTRIES_MAX} entries");
    }
    text
}

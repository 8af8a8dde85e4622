//! A component, compiled.

use std::sync::OnceLock;

use wasmtime::component::types::ComponentItem;
use wasmtime::component::{self, InstancePre, Linker};
use wasmtime::{Config, Engine};

use crate::export::{Export, Unsuitable};
use crate::instance::{Bounds, Instance, reason};

/// A component that holds an interpreter, as those of scripting languages do, has about 12 MiB.
pub const COMPONENT_BYTES_MAX: usize = 48 << 20;
/// Calls within one another. Whoever calls must have twice as much.
const STACK_BYTES: usize = 512 << 10;
/// What a component begins with: `\0asm`, version 13 of the layer 1. A core module has layer 0.
const MAGIC: &[u8] = b"\0asm";
const MODULE_LAYER: &[u8] = &[0, 0];

/// Code and exports. Made of bytes once; any number of sandboxes run it.
pub struct Component {
    pub(crate) code: InstancePre<Bounds>,
    exports: Vec<Export>,
}

/// Why bytes are no component that can be called.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ComponentError {
    #[error(
        "the component has {bytes} bytes, at most {COMPONENT_BYTES_MAX} are allowed; hint: build for size and strip debug information"
    )]
    TooLarge { bytes: usize },
    #[error("this is no WebAssembly; hint: a component begins with the bytes 00 61 73 6d")]
    NotWasm,
    #[error(
        "this is a core module, expected a component; hint: build for wasm32-wasip2, or `wasm-tools component new`"
    )]
    CoreModule,
    #[error("the component is not valid: {why}")]
    Invalid { why: String },
    #[error("the component exports no function at its root{}; hint: export functions in the world itself: `world w {{ export f: func(x: f64) -> f64; }}`", those_inside(.interfaces))]
    NoFunction { interfaces: Vec<String> },
    #[error(transparent)]
    Unsuitable(#[from] Unsuitable),
    #[error("no instance can be made of the component: {why}")]
    NoInstance { why: String },
}

fn those_inside(interfaces: &[String]) -> String {
    match interfaces {
        [] => String::new(),
        names => format!(", only the interfaces `{}`", names.join("`, `")),
    }
}

impl Component {
    /// Compiles, which takes seconds for components of megabytes, reads the exports and makes an instance to see that it can.
    pub fn compile(bytes: &[u8]) -> Result<Component, ComponentError> {
        check_bytes(bytes)?;
        let invalid = |error: wasmtime::Error| ComponentError::Invalid { why: format!("{error:#}") };
        let engine = engine().map_err(|why| ComponentError::Invalid { why: why.to_owned() })?;
        let component = component::Component::from_binary(engine, bytes).map_err(invalid)?;
        let exports = exports(engine, &component)?;
        let mut linker = Linker::new(engine);
        linker.define_unknown_imports_as_traps(&component).map_err(invalid)?;
        let code = linker.instantiate_pre(&component).map_err(invalid)?;
        let component = Component { code, exports };
        Instance::new(&component).map_err(|error| ComponentError::NoInstance { why: reason(&error) })?;
        Ok(component)
    }

    /// The functions at the root, in the order of the component.
    pub fn exports(&self) -> &[Export] {
        &self.exports
    }

    pub fn export(&self, name: &str) -> Option<&Export> {
        self.exports.iter().find(|export| export.name == name)
    }
}

fn check_bytes(bytes: &[u8]) -> Result<(), ComponentError> {
    if bytes.len() > COMPONENT_BYTES_MAX {
        return Err(ComponentError::TooLarge { bytes: bytes.len() });
    }
    match bytes.strip_prefix(MAGIC) {
        None => Err(ComponentError::NotWasm),
        Some(rest) if rest.get(2..4) == Some(MODULE_LAYER) => Err(ComponentError::CoreModule),
        Some(_) => Ok(()),
    }
}

fn exports(engine: &Engine, component: &component::Component) -> Result<Vec<Export>, ComponentError> {
    let (mut exports, mut interfaces) = (Vec::new(), Vec::new());
    for (name, item) in component.component_type().exports(engine) {
        match item.ty {
            ComponentItem::ComponentFunc(function) => exports.push(Export::of(name, &function)?),
            ComponentItem::ComponentInstance(_) => interfaces.push(name.to_owned()),
            _ => {}
        }
    }
    match exports.is_empty() {
        true => Err(ComponentError::NoFunction { interfaces }),
        false => Ok(exports),
    }
}

/// One for the program. What it allows decides what rows give, so that it is the same everywhere.
fn engine() -> Result<&'static Engine, &'static str> {
    static ENGINE: OnceLock<Result<Engine, String>> = OnceLock::new();
    let made = ENGINE.get_or_init(|| {
        let mut config = Config::new();
        config
            .consume_fuel(true)
            .max_wasm_stack(STACK_BYTES)
            // The bits of a NaN, and what relaxed SIMD rounds to, differ between processors.
            .cranelift_nan_canonicalization(true)
            .wasm_relaxed_simd(false)
            // Traps are told in a word; nobody reads the frames.
            .wasm_backtrace_max_frames(None);
        Engine::new(&config).map_err(|error| format!("{error:#}"))
    });
    made.as_ref().map_err(String::as_str)
}

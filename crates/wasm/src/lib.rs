//! Functions that people bring as WebAssembly components: what they see is their arguments, and nothing else.

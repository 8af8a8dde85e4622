//! The program from outside: real processes, real clients, and the shape of the repository.

mod commands;
mod files;
mod hub;
mod kill;
mod program;
mod shape;
mod way;

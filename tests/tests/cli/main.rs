//! The program as a user calls it, with and without a node.

mod at_rest;
mod bad_input;
mod dashboard;
mod import;
mod import_bar;
mod json;
mod readme;
mod service;
mod tasks;
mod tools;

//! The REST contract, call by call: the router in this process over a real store, and once over a real socket.

#![recursion_limit = "256"]

mod access;
mod actions;
mod compat;
mod concurrency;
mod conflicts;
mod contract;
mod dashboard;
mod drafts;
mod events;
mod flows;
mod hosts;
mod injection;
mod lifecycle;
mod matrix;
mod messages;
mod model;
mod node;
mod orchestrators;
mod projects;
mod roles;
mod socket;
mod support;
mod tasks;
mod tls;
mod trail;
mod transfer;
mod whole;

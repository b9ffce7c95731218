//! Real nodes on machines of one local network, by the commands that a user gives.
//!
//! The machines are network namespaces, so this needs root and iproute2; elsewhere it says so and passes.

mod office;

mod agents;
mod approval;
mod partition;

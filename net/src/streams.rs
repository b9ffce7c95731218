//! The streams of all connections, as libp2p's swarm runs them.

mod behaviour;
mod handler;

pub(crate) use behaviour::{Kind, Streams};
pub(crate) use handler::{Order, Purpose, Report};

//! The machines between members, one at a time: frames, sync, settling, renewals, joining.

mod arbitrary;
mod frames;
mod golden;
mod join;
mod pair;
mod renewals;
mod samples;
mod settle;
mod sync;

//! The store against models of it: random operations, power cuts, broken disks, damaged views, restored copies.

mod cluster;
mod conflicts;
mod disk;
mod doctor;
mod drafts;
mod entries;
mod exchange;
mod failing;
mod lists;
mod machine;
mod members;
mod merges;
mod model;
mod posts;
mod projects;
mod receiving;
mod restored;
mod torn;
mod torn_sync;
mod world;

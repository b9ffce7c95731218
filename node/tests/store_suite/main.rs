//! The store against models of it: random operations, power cuts, broken disks, damaged views, restored copies.

mod disk;
mod doctor;
mod failing;
mod lists;
mod machine;
mod model;
mod restored;
mod torn;
mod world;

//! What the cross-crate suite shares: the program under test and scratch projects.

pub mod project;

//! Records that are signed well and that their author had no right to.

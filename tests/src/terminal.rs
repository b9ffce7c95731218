//! A terminal with somebody who types.

use std::{
    fs::{File, OpenOptions},
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
};

use rustix::{
    fs::OFlags,
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
};

/// Makes a terminal on which a line was typed; it waits there until it is read. The first file is the person's side, to be kept for as long
/// as the terminal is used; the second is a program's stdin.
///
/// # Panics
/// When the system gives none.
#[must_use]
pub fn terminal(line: &str) -> (File, File) {
    let person = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&person).expect("a terminal of this user");
    unlockpt(&person).expect("a terminal to open");
    let name = ptsname(&person, Vec::new()).expect("a name").into_string().expect("a path");
    // A test does not get a terminal of its session by this.
    let flags = i32::try_from(OFlags::NOCTTY.bits()).expect("flags");
    let program = OpenOptions::new().read(true).write(true).custom_flags(flags).open(name).expect("the program's side");
    let mut person = File::from(person);
    writeln!(person, "{line}").expect("typed");
    (person, program)
}

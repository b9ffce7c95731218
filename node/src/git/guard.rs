//! Watches what git could be made to run on the user's behalf: configuration and hooks.
//!
//! An agent shares the repository with its user, so what it plants there would run at the user's next `git commit`. Our own
//! operations run none of it. A snapshot is taken before and after each attempt; a change is shown and the submit waits.
//!
//! **Invariants**: taking a snapshot runs nothing of the repository and follows no unbounded file; two snapshots are equal only
//! when every watched key, hook and included file is.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsStr,
    fmt, fs,
    io::Read,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use super::{Repository, Worktree, program};

/// The most hook files that are read.
const MAX_HOOKS: usize = 512;

/// The most that is read of one file; a longer one counts with its length.
const MAX_FILE: u64 = 1 << 20;

/// Sections of the configuration in which every key counts.
const SECTIONS: [&str; 14] = [
    "filter",
    "include",
    "includeif",
    "credential",
    "url",
    "protocol",
    "extensions",
    "hook",
    "gpg",
    "pager",
    "difftool",
    "mergetool",
    "browser",
    "man",
];

/// Single keys, and keys below any subsection as `section.*.key`.
const KEYS: [&str; 25] = [
    "core.hookspath",
    "core.fsmonitor",
    "core.sshcommand",
    "core.gitproxy",
    "core.askpass",
    "core.editor",
    "core.pager",
    "core.attributesfile",
    "core.worktree",
    "core.alternaterefscommand",
    "sequence.editor",
    "diff.external",
    "diff.*.command",
    "diff.*.textconv",
    "merge.*.driver",
    "interactive.difffilter",
    "init.templatedir",
    "remote.*.url",
    "remote.*.pushurl",
    "remote.*.uploadpack",
    "remote.*.receivepack",
    "remote.*.vcs",
    "submodule.*.update",
    "trailer.*.command",
    "trailer.*.cmd",
];

/// What git could be made to run, at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot {
    entries: BTreeMap<String, Entry>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    /// Of the value itself, which may hold a password.
    digest: blake3::Hash,
    shown: String,
}

/// One difference between two snapshots, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The configuration key or file.
    pub what: String,
    /// What it was; `None` when it is new. Passwords in addresses are left out.
    pub before: Option<String>,
    /// What it is; `None` when it is gone.
    pub after: Option<String>,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = |value: &Option<String>| value.clone().unwrap_or_else(|| "(none)".to_owned());
        write!(f, "{}: {} -> {}", self.what, side(&self.before), side(&self.after))
    }
}

impl Snapshot {
    /// Returns what differs between two snapshots, by name.
    #[must_use]
    pub fn compare(before: &Self, after: &Self) -> Vec<Change> {
        let names: BTreeSet<&String> = before.entries.keys().chain(after.entries.keys()).collect();
        let changed = names.into_iter().filter(|name| before.entries.get(*name) != after.entries.get(*name));
        let shown = |snapshot: &Self, name: &str| snapshot.entries.get(name).map(|entry| entry.shown.clone());
        changed.map(|name| Change { what: name.clone(), before: shown(before, name), after: shown(after, name) }).collect()
    }

    fn add(&mut self, name: String, value: &[u8], shown: String) {
        self.entries.insert(name, Entry { digest: blake3::hash(value), shown });
    }

    fn add_file(&mut self, name: String, path: &Path) {
        let Ok(found) = path.symlink_metadata() else { return };
        let mut bytes = Vec::new();
        // A pipe would block the reader for ever.
        if path.metadata().is_ok_and(|target| target.is_file()) {
            let read = fs::File::open(path).and_then(|file| file.take(MAX_FILE).read_to_end(&mut bytes));
            if let Err(error) = read {
                bytes = error.to_string().into_bytes();
            }
        }
        let link = fs::read_link(path).ok();
        let (length, mode) = (found.len(), found.permissions().mode());
        bytes.extend_from_slice(format!("{length} {mode:o} {link:?}").as_bytes());
        let runs = if mode & 0o111 != 0 { ", executable" } else { "" };
        let kind = link.map_or_else(|| format!("{length} bytes"), |target| format!("link to {}", target.display()));
        self.add(name, &bytes, format!("{kind}{runs}, {}", &blake3::hash(&bytes).to_hex()[..12]));
    }
}

impl Repository {
    /// Notes everything watched in the repository and, with a worktree, what is set for that worktree alone.
    ///
    /// What cannot be read is an entry of its own, so that breaking the configuration is a change too.
    #[must_use]
    pub fn snapshot(&self, worktree: Option<&Worktree>) -> Snapshot {
        let mut snapshot = Snapshot::default();
        let hooks_path = self.add_config(&mut snapshot, self.root(), self.git_dir(), "");
        self.add_hooks(&mut snapshot, "hooks", &self.common_dir().join("hooks"));
        if let Some(path) = hooks_path {
            self.add_hooks(&mut snapshot, "core.hooksPath", &self.root().join(path));
        }
        // Attributes choose filters; grafts and alternates change what history git sees.
        for file in ["info/attributes", "info/grafts", "objects/info/alternates", "shallow"] {
            snapshot.add_file(file.to_owned(), &self.common_dir().join(file));
        }
        if let Some(worktree) = worktree {
            let name = worktree.name();
            let git_dir = self.common_dir().join("worktrees").join(&name);
            self.add_config(&mut snapshot, worktree.path(), &git_dir, "worktree ");
            for (shown, path) in
                [("gitdir", git_dir.join("gitdir")), ("commondir", git_dir.join("commondir")), (".git", worktree.path().join(".git"))]
            {
                snapshot.add_file(format!("worktree {shown}"), &path);
            }
        }
        snapshot
    }

    /// Adds the watched keys and the files that the configuration includes; returns the effective hooks folder, if set.
    fn add_config(&self, snapshot: &mut Snapshot, folder: &Path, git_dir: &Path, prefix: &str) -> Option<PathBuf> {
        let arguments = ["--list", "--show-scope", "--show-origin", "--includes", "--null"].map(OsStr::new);
        let output = match program::run(folder, Some(git_dir), "config", &arguments, self.limits) {
            Ok(output) if output.status.success() && !output.truncated => output.stdout,
            Ok(output) if output.truncated => return add_unreadable(snapshot, prefix, "it is too large"),
            Ok(output) => return add_unreadable(snapshot, prefix, &output.message()),
            Err(error) => return add_unreadable(snapshot, prefix, &error.to_string()),
        };
        let text = String::from_utf8_lossy(&output);
        let mut values: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        let mut fields = text.split('\0');
        while let (Some(scope), Some(origin), Some(entry)) = (fields.next(), fields.next(), fields.next()) {
            // Without a line break, the key stands alone and means true.
            let (key, value) = entry.split_once('\n').unwrap_or((entry, "true"));
            if scope == "command" || !is_watched(key, value) {
                continue;
            }
            if let Some(path) = included(key, value, origin, folder) {
                snapshot.add_file(format!("{prefix}included {}", path.display()), &path);
            }
            values.entry(key.to_owned()).or_default().push(value);
        }
        let hooks_path = values.get("core.hookspath").and_then(|values| values.last()).map(|value| expand_home(value));
        for (key, values) in values {
            let shown = values.iter().map(|value| without_password(value)).collect::<Vec<_>>().join(", ");
            let name = format!("{prefix}{}", without_password(&key));
            snapshot.add(name, values.join("\0").as_bytes(), shown.chars().take(500).collect());
        }
        hooks_path
    }

    fn add_hooks(&self, snapshot: &mut Snapshot, name: &str, folder: &Path) {
        if let Ok(target) = fs::read_link(folder) {
            snapshot.add(name.to_owned(), target.as_os_str().as_encoded_bytes(), format!("link to {}", target.display()));
        }
        let Ok(entries) = fs::read_dir(folder) else { return };
        let mut files: Vec<_> = entries.filter_map(Result::ok).map(|entry| entry.file_name()).collect();
        files.sort();
        if files.len() > MAX_HOOKS {
            snapshot.add(format!("{name}/"), files.len().to_string().as_bytes(), format!("{} files", files.len()));
        }
        for file in files.iter().take(MAX_HOOKS) {
            snapshot.add_file(format!("{name}/{}", file.to_string_lossy()), &folder.join(file));
        }
    }
}

fn add_unreadable(snapshot: &mut Snapshot, prefix: &str, why: &str) -> Option<PathBuf> {
    snapshot.add(format!("{prefix}configuration"), why.as_bytes(), format!("cannot be read: {why}"));
    None
}

/// Tells whether a key can make git run a program, or send work elsewhere. Keys come in lower case but for subsections.
fn is_watched(key: &str, value: &str) -> bool {
    let (section, rest) = key.split_once('.').unwrap_or((key, ""));
    let (subsection, name) = rest.rsplit_once('.').unwrap_or(("", rest));
    if section == "alias" {
        return value.trim_start().starts_with('!');
    }
    let pattern = if subsection.is_empty() { format!("{section}.{name}") } else { format!("{section}.*.{name}") };
    SECTIONS.contains(&section) || KEYS.contains(&pattern.as_str())
}

/// Returns the file that an include names, as git resolves it.
fn included(key: &str, value: &str, origin: &str, folder: &Path) -> Option<PathBuf> {
    let include = key == "include.path" || key.starts_with("includeif.") && key.ends_with(".path");
    let origin = origin.strip_prefix("file:").filter(|_| include)?;
    let beside = folder.join(origin);
    Some(beside.parent().unwrap_or(folder).join(expand_home(value)))
}

fn expand_home(path: &str) -> PathBuf {
    match (path.strip_prefix("~/"), std::env::var_os("HOME")) {
        (Some(rest), Some(home)) => Path::new(&home).join(rest),
        _ => PathBuf::from(path),
    }
}

/// Leaves user and password out of an address.
fn without_password(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let end = rest.find('/').unwrap_or(rest.len());
    match rest[..end].rfind('@') {
        Some(at) => format!("{scheme}://…@{}", &rest[at + 1..]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_run_programs_are_watched_and_ordinary_ones_are_not() {
        for (key, value) in [
            ("core.hookspath", "x"),
            ("core.fsmonitor", "x"),
            ("core.sshcommand", "x"),
            ("filter.lfs.process", "x"),
            ("filter.a.b.clean", "x"),
            ("include.path", "x"),
            ("includeif.gitdir:/x.y/.path", "x"),
            ("alias.st", "!sh -c x"),
            ("credential.helper", "x"),
            ("credential.https://x.y.helper", "x"),
            ("diff.external", "x"),
            ("diff.a.b.textconv", "x"),
            ("merge.ours.driver", "x"),
            ("remote.origin.uploadpack", "x"),
            ("remote.origin.pushurl", "x"),
            ("url.ext::sh.insteadof", "x"),
            ("gpg.ssh.program", "x"),
        ] {
            assert!(is_watched(key, value), "{key}");
        }
        for (key, value) in
            [("user.name", "x"), ("alias.st", "status"), ("core.bare", "false"), ("branch.main.remote", "origin"), ("x", "")]
        {
            assert!(!is_watched(key, value), "{key}");
        }
    }

    #[test]
    fn passwords_are_not_shown() {
        assert_eq!(without_password("https://me:secret@host/p@th"), "https://…@host/p@th");
        assert_eq!(without_password("https://host/a@b"), "https://host/a@b");
        assert_eq!(without_password("git@host:x"), "git@host:x");
    }
}

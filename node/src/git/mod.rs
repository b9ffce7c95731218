//! The git layer: worktrees for attempts, commits, the merge on accept, and the watch over what git could be made to run.
//!
//! Objects, references, worktrees and merges go through libgit2, which runs no hook, no filter program, no merge driver and
//! no file-system monitor. The `git` program is used for fetch, push and reading the configuration, because only it brings
//! the user's credentials and transports; see `docs/adr/0005-git.md`. Every call blocks: run it on a blocking thread.
//!
//! **Invariants**
//! - Nothing here runs a hook of the repository, and no name that a user or peer chose is ever read as an option.
//! - A worktree is never reused, and is never removed before all that it holds can be reached from a reference.
//! - A reference moves only by compare-and-swap; the user's files change only when nothing of theirs is in the way.
//! - Only merge commits made by [`Repository::merge`] carry an `Octopoid-Task` trailer, and a commit that carries one is
//!   never merged over.

mod branch;
mod bundle;
mod checkout;
mod commit;
mod compare;
mod copy;
mod guard;
mod identity;
mod landed;
mod merge;
mod moved;
mod program;
mod remote;
mod removal;
mod repository;
mod worktree;

pub use branch::{Branch, BranchError, rescue_reference};
pub use bundle::{BUNDLE_LIMIT, BundleError};
pub use commit::CommitError;
pub use compare::{ChangedFile, CompareError, DiffForm, DiffText};
pub use copy::{CopyError, CopyReport};
pub use guard::{Change, Snapshot};
pub use identity::Identity;
pub use landed::Landing;
pub use merge::{LocalBranch, MergeError, MergeOutcome, MergeRequest, Reopened, Strategy};
pub use moved::{Branches, Moved};
pub use program::{ProgramError, ProgramLimits};
pub use remote::{Pushed, RemoteError, git_version, looks_like_github};
pub use removal::{RemoveError, Removed};
pub use repository::{OpenError, ReadError, Repository};
pub use worktree::{AddError, TamperedError, Worktree};

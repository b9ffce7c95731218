//! The commands, one file each or a few that are alike.

pub mod agents;
mod authority;
mod completions;
mod conflicts;
pub mod dashboard;
mod demo;
mod diff;
mod doctor;
pub mod edit;
pub mod enqueue;
mod gc;
pub mod import;
mod init;
pub mod install_service;
mod list;
pub mod logs;
pub mod man;
pub mod peers;
mod queue;
pub mod server;
mod show;
pub mod start;
mod status;
pub mod stop;
mod uninit;
pub mod validate;
mod verdict;
pub mod wait;

use std::io::Read;

use clap::Subcommand;
use octopoid_client::Task;

use crate::{attempt_name, connection::Connection, failure::Failure, output::Output};

/// What `octopoid` can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make this repository an Octopoid project.
    Init(init::Args),
    /// Run the node of this project.
    Start(start::Args),
    /// End the running node.
    Stop(stop::Args),
    /// Show what the node and its agents do.
    Status(status::Args),
    /// Queue a task.
    Enqueue(enqueue::Args),
    /// List tasks.
    List(list::Args),
    /// Show a task.
    Show(show::Args),
    /// Show what an attempt changed.
    Diff(diff::Args),
    /// Show what an agent, or the node, wrote.
    Logs(logs::Args),
    /// Judge that a task's work is good.
    Accept(verdict::AcceptArgs),
    /// Judge that a task's work is not good.
    Reject(verdict::RejectArgs),
    /// Send a task back to be tried again.
    Requeue(queue::RequeueArgs),
    /// Give a claimed task back.
    Release(queue::ReleaseArgs),
    /// Give a task up.
    Cancel(queue::CancelArgs),
    /// Delete a task.
    Delete(queue::DeleteArgs),
    /// Change a task.
    Edit(edit::Args),
    /// Merge accepted work that awaits it.
    Merge(queue::MergeArgs),
    /// Wait until a task is done, or in a queue.
    Wait(wait::Args),
    /// Print the address of the dashboard, for a browser.
    Dashboard(dashboard::Args),
    /// List the agents and what they do.
    Agents(agents::Args),
    /// Start no new work.
    Pause(agents::PauseArgs),
    /// Start new work again.
    Resume(agents::ResumeArgs),
    /// Remove what finished attempts left behind.
    Gc(gc::Args),
    /// List, let in and remove the members of the cluster.
    Peers(peers::PeersArgs),
    /// Make a ticket with which one machine can join.
    Invite(peers::InviteArgs),
    /// Show or name the cluster; leave it for a while.
    Cluster(peers::ClusterArgs),
    /// Show or set the node that grants claims and judges work.
    Authority(authority::Args),
    /// List what lost when machines that were apart did the same; adopt or dismiss it.
    Conflicts(conflicts::Args),
    /// Take in tasks of version 1, of another node, or of a backup.
    Import(import::Args),
    /// Write everything down for an import or a backup.
    Export(import::ExportArgs),
    /// Check the project's files and this machine.
    Validate(validate::Args),
    /// Check the store.
    Doctor(doctor::Args),
    /// Remove Octopoid from this repository.
    Uninit(uninit::Args),
    /// Play the whole job in a scratch repository.
    Demo(demo::Args),
    /// Write a systemd unit for this project's node.
    InstallService(install_service::Args),
    /// Print a script that completes commands in a shell.
    Completions(completions::Args),
    /// Write the manual pages.
    #[command(hide = true)]
    Man(man::Args),
}

/// Does what was asked.
pub async fn run(command: Command, output: Output) -> Result<(), Failure> {
    match command {
        Command::Init(args) => init::run(&args, output).await,
        Command::Start(args) => start::run(&args, output).await,
        Command::Stop(args) => stop::run(&args, output).await,
        Command::Status(args) => status::run(&args, output).await,
        Command::Enqueue(args) => enqueue::run(args, output).await,
        Command::List(args) => list::run(args, output).await,
        Command::Show(args) => show::run(&args, output).await,
        Command::Diff(args) => diff::run(args, output).await,
        Command::Logs(args) => logs::run(args, output).await,
        Command::Accept(args) => verdict::accept(args, output).await,
        Command::Reject(args) => verdict::reject(args, output).await,
        Command::Requeue(args) => queue::requeue(args, output).await,
        Command::Release(args) => queue::release(args, output).await,
        Command::Cancel(args) => queue::cancel(args, output).await,
        Command::Delete(args) => queue::delete(&args, output).await,
        Command::Edit(args) => edit::run(args, output).await,
        Command::Merge(args) => queue::merge(&args, output).await,
        Command::Wait(args) => wait::run(args, output).await,
        Command::Dashboard(args) => dashboard::run(&args, output).await,
        Command::Agents(args) => agents::run(&args, output).await,
        Command::Pause(args) => agents::pause(&args, output).await,
        Command::Resume(args) => agents::resume(&args, output).await,
        Command::Gc(args) => gc::run(&args, output).await,
        Command::Peers(args) => peers::peers(&args, output).await,
        Command::Invite(args) => peers::invite(&args, output).await,
        Command::Cluster(args) => peers::cluster(&args, output).await,
        Command::Authority(args) => authority::run(args, output).await,
        Command::Conflicts(args) => conflicts::run(args, output).await,
        Command::Import(args) => import::import(&args, output).await,
        Command::Export(args) => import::export(&args, output).await,
        Command::Validate(args) => validate::run(&args, output).await,
        Command::Doctor(args) => doctor::run(&args, output).await,
        Command::Uninit(args) => uninit::run(&args, output).await,
        Command::Demo(args) => demo::run(&args, output).await,
        Command::InstallService(args) => install_service::run(&args, output),
        Command::Completions(args) => completions::run(&args, output),
        Command::Man(args) => man::run(&args, output),
    }
}

/// The task that a command is about.
#[derive(Debug, clap::Args)]
pub struct TaskArg {
    /// The task's id, or a beginning of it that no other task's id has.
    #[arg(value_name = "ID")]
    id: String,
}

impl TaskArg {
    /// Returns the id as it was given.
    fn given(&self) -> &str {
        &self.id
    }

    /// Finds the whole id.
    async fn whole(&self, connection: &Connection) -> Result<String, Failure> {
        whole_id(connection, &self.id).await
    }
}

/// Finds the id that a text is, or is the only one to begin with.
async fn whole_id(connection: &Connection, prefix: &str) -> Result<String, Failure> {
    Ok(connection.client.resolve_task(prefix).await.map_err(Failure::about(prefix))?.id)
}

/// Finds the id of a task that another one is to wait for.
async fn whole_blocker(connection: &Connection, prefix: &str) -> Result<String, Failure> {
    let found = connection.client.resolve_task(prefix).await;
    Ok(found.map_err(|source| Failure::Blocker { id: prefix.to_owned(), source: Box::new(source) })?.id)
}

/// Finds the attempt that `--attempt` names, if it is given.
async fn whole_attempt(connection: &Connection, task: &str, given: Option<&str>) -> Result<Option<String>, Failure> {
    let Some(given) = given else { return Ok(None) };
    Ok(Some(attempt_name::whole(connection, task, given).await.map_err(Failure::about(task))??))
}

/// Names the user for the history.
fn user() -> String {
    let named = |variable| std::env::var(variable).ok().filter(|name| !name.is_empty());
    let machine = || rustix::system::uname().nodename().to_string_lossy().into_owned();
    named("USER").or_else(|| named("LOGNAME")).or_else(account).unwrap_or_else(machine)
}

/// Looks up the user's account, for a shell without a login: a container's, or that of a scheduled job.
fn account() -> Option<String> {
    let user = rustix::process::getuid().as_raw().to_string();
    let accounts = std::fs::read_to_string("/etc/passwd").ok()?;
    let named = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next()?.to_owned();
        (fields.nth(1)? == user).then_some(name)
    };
    accounts.lines().find_map(named)
}

/// Tells what became of a task: the task as JSON, or a line.
fn tell(output: Output, task: &Task, what: &str) -> Result<(), Failure> {
    if output.json() {
        return Ok(output.value(task)?);
    }
    output.line(format!("{}: {what}", task.id))?;
    match task.awaiting_merge.as_deref() {
        // The node has not looked at it yet: there is no reason to tell.
        Some(Task::MERGE_PENDING) => {
            output.note(format!("not merged yet: 'octopoid show {}' tells when it is, or what it waits for", task.id))
        }
        Some(reason) => output.note(format!("not merged yet: {reason}")),
        None => {}
    }
    Ok(())
}

/// The largest body of a task, in bytes and in lines.
const BODY: u64 = 128 << 10;
const BODY_LINES: usize = 4_096;

/// States why a body cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The file cannot be read.
    #[error("read the body from {name}")]
    Read {
        /// The file, or `stdin`.
        name: String,
        #[source]
        source: std::io::Error,
    },
    /// A body has a limit.
    #[error("the body in {0} exceeds 128 KiB or 4,096 lines")]
    TooLarge(String),
    /// A body is text.
    #[error("the body in {0} is no UTF-8 text")]
    NotText(String),
}

/// Reads a body from a file, or from stdin for `-`.
fn read_body(place: &str) -> Result<String, BodyError> {
    let name = if place == "-" { "stdin".to_owned() } else { place.to_owned() };
    let failed = |source| BodyError::Read { name: name.clone(), source };
    let mut bytes = Vec::new();
    let reader: Box<dyn Read> =
        if place == "-" { Box::new(std::io::stdin()) } else { Box::new(std::fs::File::open(place).map_err(failed)?) };
    reader.take(BODY + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > BODY || bytes.iter().filter(|byte| **byte == b'\n').count() >= BODY_LINES {
        return Err(BodyError::TooLarge(name));
    }
    String::from_utf8(bytes).map_err(|_| BodyError::NotText(name))
}

/// Reads a priority in either case.
fn parse_priority(text: &str) -> Result<String, String> {
    one_of(text, &["P0", "P1", "P2", "P3"])
}

/// Reads a complexity in either case.
fn parse_complexity(text: &str) -> Result<String, String> {
    one_of(text, &["XS", "S", "M", "L", "XL"])
}

fn one_of(text: &str, valid: &[&str]) -> Result<String, String> {
    let upper = text.trim().to_ascii_uppercase();
    if valid.contains(&upper.as_str()) { Ok(upper) } else { Err(format!("must be one of {}", valid.join(", "))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_priority_is_one_of_four_in_either_case() {
        assert_eq!(parse_priority("p0").as_deref(), Ok("P0"));
        assert!(parse_priority("P4").is_err_and(|text| text.contains("P0, P1, P2, P3")));
        assert_eq!(parse_complexity("xl").as_deref(), Ok("XL"));
    }

    #[test]
    fn a_body_has_a_limit_and_must_be_text() {
        let dir = tempfile::tempdir().expect("scratch folder");
        let write = |name: &str, bytes: &[u8]| {
            let path = dir.path().join(name);
            std::fs::write(&path, bytes).expect("written");
            path.to_str().expect("UTF-8").to_owned()
        };
        assert_eq!(read_body(&write("good", b"one\ntwo\n")).expect("body"), "one\ntwo\n");
        assert!(matches!(read_body(&write("large", &vec![b'x'; (128 << 10) + 1])), Err(BodyError::TooLarge(_))));
        assert!(matches!(read_body(&write("long", &vec![b'\n'; 4_096])), Err(BodyError::TooLarge(_))));
        assert!(matches!(read_body(&write("binary", b"\xff\xfe")), Err(BodyError::NotText(_))));
        assert!(matches!(read_body("/no/such/file"), Err(BodyError::Read { .. })));
    }
}

//! `octopoid init`

use std::io::{BufRead as _, IsTerminal as _};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::{
    connection::ConnectError,
    failure::Failure,
    node_bridge::{self, InitOptions, InitReport, JoinReport, Layout, Question, ServerAddress, Share},
    output::Output,
};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  octopoid init --machine-id mac-studio\n  octopoid init --cluster home --machine-id mac-studio\n  octopoid init --join oct1…\n  octopoid init --server https://queue.example.org --api-key oct_…"
)]
pub struct Args {
    /// Keep everything on this machine (the default).
    #[arg(long, conflicts_with_all = ["cluster", "join", "server"])]
    local: bool,
    /// Share tasks with the cluster of the node whose API answers at this address; `--cluster` names it, to be sure.
    #[arg(long, value_name = "URL", conflicts_with = "join")]
    server: Option<String>,
    /// The key for `--server`: what `octopoid cluster join-key` prints there, or that node's own token. It is not kept.
    #[arg(long, value_name = "KEY", requires = "server")]
    api_key: Option<String>,
    /// A PEM file with the certificate of the authority that has signed `--server`'s, or with that one itself; the system's
    /// authorities are trusted without it.
    #[arg(long, value_name = "FILE", requires = "server")]
    ca: Option<PathBuf>,
    /// Share tasks with the cluster of this name on the local network; it is made when there is none.
    #[arg(long, value_name = "NAME", conflicts_with = "join")]
    cluster: Option<String>,
    /// Share tasks with the cluster of a ticket, which `octopoid invite` prints.
    #[arg(long, value_name = "TICKET")]
    join: Option<String>,
    /// Confirm the code that both machines show, and leave a cluster without other members, without asking.
    #[arg(long, conflicts_with = "local")]
    yes: bool,
    /// This machine's name; its host name by default.
    #[arg(long, value_name = "ID")]
    machine_id: Option<String>,
    /// A fixed port for the API; 0 for any.
    #[arg(long, value_name = "N")]
    api_port: Option<u16>,
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Report {
    #[serde(flatten)]
    project: InitReport,
    cluster: Option<JoinReport>,
}

pub async fn run(args: &Args, output: Output) -> Result<(), Failure> {
    let here = std::env::current_dir().map_err(ConnectError::Folder)?;
    let report = node_bridge::init(&here, &InitOptions { machine_id: args.machine_id.clone(), api_port: args.api_port })?;
    if !output.json() {
        tell_project(&report, output)?;
    }
    let joined = share(args, &report, output).await?;
    if output.json() {
        return Ok(output.value(&Report { project: report, cluster: joined })?);
    }
    if let Some(joined) = &joined {
        output.line(match joined.outcome {
            "created" => format!("no cluster '{0}' found, created: this machine is its first member", joined.cluster),
            "joined" => "this machine is a member of the cluster now".to_owned(),
            _ => format!("this machine is a member of the cluster '{}' already", joined.cluster),
        })?;
    }
    output.note("\nNext:\n  octopoid enqueue \"Add user authentication\" --role implement\n  octopoid start\n  octopoid status");
    Ok(())
}

fn tell_project(report: &InitReport, output: Output) -> Result<(), Failure> {
    let shown = |path: &Path| path.display().to_string();
    if report.created.is_empty() && report.updated.is_empty() {
        output.line(format!("{} is an Octopoid project already; nothing was changed", shown(&report.root)))?;
    } else if report.created.is_empty() {
        output.line(format!("{} is an Octopoid project already; this machine is {}", shown(&report.root), report.machine_id))?;
    } else {
        output.line(format!("{} is an Octopoid project; this machine is {}", shown(&report.root), report.machine_id))?;
    }
    for path in &report.created {
        output.note(format!("  made {}", shown(path)));
    }
    for path in &report.updated {
        output.note(format!("  changed {}: a running node takes it over at its next start", shown(path)));
    }
    for path in &report.kept {
        output.note(format!("  kept {}", shown(path)));
    }
    for note in &report.notes {
        output.warn(note);
    }
    Ok(())
}

async fn share(args: &Args, report: &InitReport, output: Output) -> Result<Option<JoinReport>, Failure> {
    let mut ask = |question: Question<'_>| asked(question, args.yes, output);
    if let Some(ticket) = &args.join {
        return Ok(Some(node_bridge::share(&report.root, &report.machine_id, Share::Ticket(ticket), &mut ask).await?));
    }
    // The file is found again from any folder.
    let ca = args.ca.as_deref().map(|ca| std::path::absolute(ca).unwrap_or_else(|_| ca.to_owned()));
    let given = args.server.clone().map(|url| ServerAddress { url, cluster: args.cluster.clone(), api_key: args.api_key.clone(), ca });
    let server = match given {
        Some(server) => Some(server),
        None if args.local || args.cluster.is_some() => None,
        None => super::server::still_to_join(&Layout::at(&report.root)).await?,
    };
    if let Some(server) = server {
        return Ok(Some(super::server::join(report, server, &mut ask, output).await?));
    }
    let Some(cluster) = &args.cluster else { return Ok(None) };
    output.note(format!("looking for the cluster '{cluster}' on the local network (5 s)"));
    Ok(Some(node_bridge::share(&report.root, &report.machine_id, Share::Named(cluster), &mut ask).await?))
}

/// Has a person decide, unless that was said before.
fn asked(question: Question<'_>, yes: bool, output: Output) -> bool {
    let question = match question {
        Question::Code(code) => {
            output.note(format!("found. Both machines show this code: {code}"));
            output.note(format!("on a machine of the cluster: octopoid peers approve {code}"));
            "A cluster runs agents on its members' machines. Does the other machine show the same code? [y/N]"
        }
        Question::Leave(cluster) => {
            output.note(format!("this machine is the only member of the cluster '{cluster}'; it can belong to one cluster"));
            "Its open tasks come along, and its store is kept as a backup. Leave that cluster? [y/N]"
        }
    };
    yes || confirmed(question, output)
}

/// Asks on a terminal; a script that did not say `--yes` has seen nothing.
fn confirmed(question: &str, output: Output) -> bool {
    if !std::io::stdin().is_terminal() {
        output.note("confirm with --yes where there is no terminal");
        return false;
    }
    output.note(question);
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes")
}

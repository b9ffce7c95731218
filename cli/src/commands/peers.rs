//! `octopoid peers`, `octopoid invite` and `octopoid cluster`

use std::time::Duration;

use jiff::Timestamp;
use octopoid_client::{
    ApproveRequest, Client, ClusterName, CodeRequest, IntegratorRequest, InviteRequest, MemberInfo, Peers, RemoveRequest,
};

use crate::{clean, connection::Connection, failure::Failure, output::Output, table::Table, when};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  octopoid peers\n  octopoid peers approve 7QKM-4R2D\n  octopoid peers remove old-laptop")]
pub struct PeersArgs {
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// List the members and who asks to be one (the default).
    List,
    /// Let in the machine that shows a code.
    Approve {
        /// The code that both machines show.
        code: String,
        /// admin, worker or reader.
        #[arg(long, default_value = "worker", value_parser = ["admin", "worker", "reader"])]
        access: String,
    },
    /// Do not let in the machine that shows a code.
    Deny {
        /// The code.
        code: String,
    },
    /// Remove a member. What it wrote until now stays.
    Remove {
        /// Its name or peer id.
        name: String,
        /// Why, for the others.
        #[arg(long)]
        reason: Option<String>,
    },
    /// Print where this machine can be reached, for network.peers of others.
    Addresses,
}

pub async fn peers(args: &PeersArgs, output: Output) -> Result<(), Failure> {
    let client = Connection::open().await?.client;
    match args.verb.as_ref().unwrap_or(&Verb::List) {
        Verb::List => show(&client.peers().await?, output),
        Verb::Approve { code, access } => {
            let peers = client.approve_join(&ApproveRequest { code: code.clone(), access: Some(access.clone()) }).await?;
            done(&peers, output, "approved: the machine is let in as soon as its own side has confirmed the code")
        }
        Verb::Deny { code } => done(&client.deny_join(&CodeRequest { code: code.clone() }).await?, output, "denied"),
        Verb::Remove { name, reason } => {
            let peers = client.remove_peer(name, &RemoveRequest { reason: reason.clone() }).await?;
            done(&peers, output, "removed; what it wrote until now stays in effect")
        }
        Verb::Addresses => {
            let info = client.cluster().await?;
            if output.json() {
                return Ok(output.value(&serde_json::json!({ "addresses": info.addresses }))?);
            }
            for address in &info.addresses {
                output.line(clean::line(address))?;
            }
            Ok(())
        }
    }
}

fn done(peers: &Peers, output: Output, what: &str) -> Result<(), Failure> {
    if output.json() {
        return Ok(output.value(peers)?);
    }
    Ok(output.line(what)?)
}

fn show(peers: &Peers, output: Output) -> Result<(), Failure> {
    if output.json() {
        return Ok(output.value(peers)?);
    }
    output.table(&table(&peers.members))?;
    for pending in &peers.pending {
        let name = clean::line(&pending.name);
        output.line(if pending.approved {
            format!("{name} is approved and has not confirmed the code {} yet", pending.code)
        } else {
            format!("{name} asks to join: octopoid peers approve {}", pending.code)
        })?;
    }
    Ok(())
}

/// Shows members, one line each.
pub fn table(members: &[MemberInfo]) -> Table {
    let mut table = Table::new(&["NAME", "ACCESS", "STATE", "LAG", "AGENTS"]);
    let now = Timestamp::now();
    for member in members {
        let since = member.last_seen.as_deref().map(|at| when::relative(at, now));
        let state = match (member.state.as_str(), since) {
            ("offline", Some(since)) => format!("offline since {since}"),
            (state, _) => state.to_owned(),
        };
        let lag = if member.state == "connected" { member.lag.to_string() } else { String::new() };
        let agents = member.agents.map(|agents| agents.to_string()).unwrap_or_default();
        table.row([clean::line(&member.name).as_str(), &member.access, &state, &lag, &agents]);
    }
    table
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  octopoid invite --access worker --expires 1h")]
pub struct InviteArgs {
    /// admin, worker or reader.
    #[arg(long, default_value = "worker", value_parser = ["admin", "worker", "reader"])]
    access: String,
    /// How long the ticket is valid, such as 30m, 1h or 2d.
    #[arg(long, default_value = "1h", value_parser = parse_duration)]
    expires: Duration,
}

pub async fn invite(args: &InviteArgs, output: Output) -> Result<(), Failure> {
    let client = Connection::open().await?.client;
    let request = InviteRequest { access: Some(args.access.clone()), expires_seconds: Some(args.expires.as_secs()) };
    let invitation = client.invite(&request).await?;
    if output.json() {
        return Ok(output.value(&invitation)?);
    }
    output.line(&invitation.ticket)?;
    output.note(format!("one machine can join with it until {}, as {}:", invitation.expires_at, invitation.access));
    output.note("  octopoid init --join TICKET");
    Ok(())
}

/// Reads a number with a unit: s, m, h or d.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let wanted = || "a number with s, m, h or d, such as 1h".to_owned();
    let split = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wanted)?;
    let (number, unit) = text.split_at(split);
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err(wanted()),
    };
    let number: u64 = number.parse().map_err(|_| wanted())?;
    number.checked_mul(seconds).filter(|seconds| *seconds > 0).map(Duration::from_secs).ok_or_else(wanted)
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  octopoid cluster name home\n  octopoid cluster offline\n  octopoid cluster integrator mac-studio\n  octopoid cluster join-key"
)]
pub struct ClusterArgs {
    #[command(subcommand)]
    verb: Option<ClusterVerb>,
}

#[derive(Debug, clap::Subcommand)]
enum ClusterVerb {
    /// Show the cluster (the default).
    Show,
    /// Name the cluster, so that others can join it.
    Name {
        /// The name.
        name: String,
    },
    /// Keep this machine to itself: cut it off from all others until `online` or the next start. It works on alone.
    Offline,
    /// Connect to the others again.
    Online,
    /// Make a node the one that merges where there is no remote: by default the first one.
    Integrator {
        /// The node's name or peer id.
        node: String,
    },
    /// Make the key with which machines join by this machine's API (`init --server`); the one before ends. It opens nothing else.
    JoinKey {
        /// End the key and make none.
        #[arg(long)]
        remove: bool,
    },
}

async fn join_key(client: &Client, remove: bool, output: Output) -> Result<(), Failure> {
    if remove {
        let answer = client.remove_join_key().await?;
        if output.json() {
            return Ok(output.value(&answer)?);
        }
        return Ok(output.line(if answer.removed {
            "the join key has ended; who joined with it stays a member"
        } else {
            "there is no join key"
        })?);
    }
    let key = client.make_join_key().await?;
    if output.json() {
        return Ok(output.value(&key)?);
    }
    output.line(&key.api_key)?;
    output.note("it is not shown again, and lets machines join as workers until it ends (octopoid cluster join-key --remove):");
    output.note("  octopoid init --server URL --api-key KEY");
    Ok(())
}

pub async fn cluster(args: &ClusterArgs, output: Output) -> Result<(), Failure> {
    let connection = Connection::open().await?;
    if let Some(ClusterVerb::JoinKey { remove }) = args.verb {
        return join_key(&connection.client, remove, output).await;
    }
    let named = matches!(args.verb, Some(ClusterVerb::Name { .. }));
    let info = match args.verb.as_ref().unwrap_or(&ClusterVerb::Show) {
        ClusterVerb::Show | ClusterVerb::JoinKey { .. } => connection.client.cluster().await?,
        ClusterVerb::Name { name } => connection.client.name_cluster(&ClusterName { name: name.clone() }).await?,
        ClusterVerb::Offline => connection.client.keep_offline(true).await?,
        ClusterVerb::Online => connection.client.keep_offline(false).await?,
        ClusterVerb::Integrator { node } => connection.client.set_integrator(&IntegratorRequest { node: node.clone() }).await?,
    };
    if output.json() {
        return Ok(output.value(&info)?);
    }
    let name = info.name.as_deref().unwrap_or("without a name");
    output.line(format!("cluster {name}, {} mode, {} members", info.mode, info.members.len()))?;
    if let Some(authority) = &info.authority {
        output.line(format!("authority {}: it grants claims and judges work", clean::line(authority)))?;
    }
    if let Some(integrator) = info.integrator.as_deref().filter(|_| info.members.len() > 1) {
        output.line(format!("integrator {}: it merges where there is no remote", clean::line(integrator)))?;
    }
    output.table(&table(&info.members))?;
    if info.kept_offline {
        output.note("this machine keeps to itself: octopoid cluster online");
    }
    if named && connection.node.is_some() && info.addresses.is_empty() {
        output.note("start the node again, so that others can reach it: octopoid stop && octopoid start");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_a_number_with_a_unit() {
        assert_eq!(parse_duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(parse_duration("2d"), Ok(Duration::from_secs(172_800)));
        for bad in ["", "h", "1", "1w", "0h", "-1h", "99999999999999999999h"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }
}

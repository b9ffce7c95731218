//! `octopoid authority`

use octopoid_client::{AuthorityInfo, AuthorityRequest};

use crate::{clean, connection::Connection, failure::Failure, output::Output};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  octopoid authority\n  octopoid authority set office-server\n  octopoid authority set none\n  \
    octopoid authority set laptop --force")]
pub struct Args {
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Show which node grants claims and judges work (the default).
    Show,
    /// Make a node the authority: it alone grants claims, accepts, rejects and ends leases then.
    ///
    /// A node that is the authority already is asked to hand it over, so that no two grant at a time.
    Set {
        /// The node's name or peer id, or none for a cluster of equals.
        node: String,
        /// Take it from a node that is gone for good. What that node granted without this machine's knowledge does not count.
        #[arg(long)]
        force: bool,
    },
}

pub async fn run(args: Args, output: Output) -> Result<(), Failure> {
    let client = Connection::open().await?.client;
    let info = match args.verb.unwrap_or(Verb::Show) {
        Verb::Show => client.authority().await?,
        Verb::Set { node, force } => {
            let node = (node != "none").then_some(node);
            client.set_authority(&AuthorityRequest { node, force }).await?
        }
    };
    if output.json() {
        return Ok(output.value(&info)?);
    }
    Ok(output.line(line(&info))?)
}

/// Says in a line who decides.
fn line(info: &AuthorityInfo) -> String {
    let Some(name) = &info.authority else {
        return format!("{} mode: no node is the authority", info.mode);
    };
    let reached = match (info.own, info.reachable) {
        (true, _) => "this node",
        (false, true) => "connected",
        (false, false) => "not reached now",
    };
    format!("{} mode: {} is the authority ({reached})", info.mode, clean::line(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_who_decides_and_whether_it_can_be_asked() {
        let mut info = AuthorityInfo { mode: "mesh".to_owned(), ..AuthorityInfo::default() };
        assert_eq!(line(&info), "mesh mode: no node is the authority");
        info = AuthorityInfo { mode: "server-wins".to_owned(), authority: Some("office".to_owned()), ..info };
        assert_eq!(line(&info), "server-wins mode: office is the authority (not reached now)");
        assert!(line(&AuthorityInfo { reachable: true, ..info.clone() }).ends_with("(connected)"));
        assert!(line(&AuthorityInfo { reachable: true, own: true, ..info }).ends_with("(this node)"));
    }
}

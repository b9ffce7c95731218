//! `octopoid init --server`: comes to a cluster by the REST address of one of its nodes.
//!
//! **Invariants**: the key is sent to the address that a person gave, and nowhere else: over TLS to whom a trusted certificate names,
//! in the clear to this machine only.

use std::{io, path::PathBuf};

use octopoid_client::{Authorities, AuthoritiesError, Client, ClientError, InviteRequest, Token, Trust};

use crate::{
    connection::Connection,
    failure::{Exit, Failure},
    node_bridge::{self, BridgeError, InitReport, JoinReport, Layout, Question, ServerAddress, Share},
    output::Output,
};

/// States why a machine did not come to the cluster of a server.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The key is malformed, or the address is none.
    #[error("ask {url}")]
    Ask {
        /// The address.
        url: String,
        #[source]
        source: ClientError,
    },
    /// The file of the certificates cannot be read.
    #[error("read the certificates in {}", .path.display())]
    Ca {
        /// The file.
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// The file of the certificates holds none.
    #[error("trust the certificates in {}", .path.display())]
    Authorities {
        /// The file.
        path: PathBuf,
        #[source]
        source: AuthoritiesError,
    },
    /// The address is none of the API.
    #[error("'{0}' is not an address of a node: write https://HOST, or http://127.0.0.1:8787")]
    Address(String),
    /// The key would travel in the clear.
    #[error(
        "the key would travel in the clear to '{0}': use its https:// address (api.tls, or a reverse proxy), or forward the node's port by ssh -L 8787:127.0.0.1:8787 HOST and use http://127.0.0.1:8787"
    )]
    Clear(String),
    /// Another cluster answers there.
    #[error("the node at {url} belongs to the cluster '{found}', not to '{wanted}'")]
    OtherCluster {
        /// The address.
        url: String,
        /// Its cluster.
        found: String,
        /// The cluster that was asked for.
        wanted: String,
    },
    /// Nobody decides there.
    #[error("the cluster of {0} has no authority: run `octopoid authority set NAME` there, or join it by `octopoid init --join TICKET`")]
    NoAuthority(String),
}

impl ServerError {
    pub fn exit(&self) -> Exit {
        match self {
            Self::Address(_) | Self::Clear(_) => Exit::Usage,
            Self::Ask { source: ClientError::Unreachable { .. } | ClientError::TimedOut { .. }, .. } => Exit::Unreachable,
            Self::Ask { .. } | Self::Ca { .. } | Self::Authorities { .. } => Exit::Failed,
            Self::OtherCluster { .. } | Self::NoAuthority(_) => Exit::Refused,
        }
    }

    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Ask { source: ClientError::Status { status: 401 | 403, .. }, .. } => {
                Some(
                    "the key is what `octopoid cluster join-key` prints on that node's machine, or its own token: .octopoid/runtime/api.token there"
                        .to_owned(),
                )
            }
            Self::Ask { source: ClientError::Untrusted { .. }, .. } => {
                Some("where a private authority has signed it, or nobody, name the PEM file of that certificate by --ca FILE".to_owned())
            }
            Self::Ask { .. }
            | Self::Ca { .. }
            | Self::Authorities { .. }
            | Self::Address(_)
            | Self::Clear(_)
            | Self::OtherCluster { .. }
            | Self::NoAuthority(_) => None,
        }
    }
}

/// Returns the server that `mode: remote` names where this machine is a member of no cluster yet.
pub async fn still_to_join(layout: &Layout) -> Result<Option<ServerAddress>, Failure> {
    let Some(server) = node_bridge::configured_server(layout) else { return Ok(None) };
    let alone = match node_bridge::is_alone(layout) {
        // Whoever has the store knows, if it is a node.
        Err(BridgeError::Locked) => match Connection::to_running(layout).await? {
            Some(connection) => connection.client.cluster().await?.mode == "local",
            None => false,
        },
        known => known?,
    };
    Ok(alone.then_some(server))
}

/// Gets a ticket from a server and joins with it; keeps the server in local.yaml, without the key.
pub async fn join(
    report: &InitReport,
    server: ServerAddress,
    decide: &mut (dyn FnMut(Question<'_>) -> bool + Send),
    output: Output,
) -> Result<JoinReport, Failure> {
    check(&server.url)?;
    output.note(format!("asking {} for a ticket", server.url));
    let (ticket, cluster) = ticket(&server).await?;
    let joined = node_bridge::share(&report.root, &report.machine_id, Share::Ticket(&ticket), decide).await?;
    node_bridge::keep_server(&report.root, &ServerAddress { cluster, ..server })?;
    Ok(joined)
}

/// Refuses an address to which the key would travel in the clear.
fn check(url: &str) -> Result<(), ServerError> {
    if url.starts_with("https://") {
        return Ok(());
    }
    let Some(rest) = url.strip_prefix("http://") else { return Err(ServerError::Address(url.to_owned())) };
    let host = rest.split(['/', '?']).next().unwrap_or_default();
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    let name =
        host.strip_prefix('[').map_or_else(|| host.split(':').next().unwrap_or_default(), |v6| v6.split(']').next().unwrap_or_default());
    let own = name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    if own { Ok(()) } else { Err(ServerError::Clear(url.to_owned())) }
}

/// Returns a ticket for one machine, and the cluster's name.
async fn ticket(server: &ServerAddress) -> Result<(String, Option<String>), ServerError> {
    let url = &server.url;
    let ask = |source| ServerError::Ask { url: url.clone(), source };
    let token = server.api_key.as_deref().map(Token::new).transpose().map_err(ask)?;
    let client = Client::trusting(url, token, &trust(server)?).map_err(ask)?;
    let info = client.cluster().await.map_err(ask)?;
    if let (Some(wanted), found) = (&server.cluster, info.name.clone().unwrap_or_default())
        && *wanted != found
    {
        return Err(ServerError::OtherCluster { url: url.clone(), found, wanted: wanted.clone() });
    }
    if info.authority.is_none() {
        return Err(ServerError::NoAuthority(url.clone()));
    }
    let invitation = client.invite(&InviteRequest::default()).await.map_err(ask)?;
    Ok((invitation.ticket, info.name))
}

/// Tells which certificates are trusted at the server's address.
fn trust(server: &ServerAddress) -> Result<Trust, ServerError> {
    let Some(path) = &server.ca else { return Ok(Trust::System) };
    let text = std::fs::read(path).map_err(|source| ServerError::Ca { path: path.clone(), source })?;
    let authorities = Authorities::from_pem(&text).map_err(|source| ServerError::Authorities { path: path.clone(), source })?;
    Ok(Trust::Authorities(authorities))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_goes_to_this_machine_only_where_nothing_encrypts_it() {
        for good in ["http://127.0.0.1:8787", "http://localhost", "http://[::1]:8787/", "http://127.9.9.9"] {
            assert!(check(good).is_ok(), "{good}");
        }
        for bad in ["http://10.0.0.1:8787", "http://example.org", "http://127.0.0.1@example.org/", "http://127.0.0.1.example.org"] {
            assert!(matches!(check(bad), Err(ServerError::Clear(_))), "{bad}");
        }
        assert!(check("https://example.org").is_ok(), "TLS encrypts");
        for none in ["ftp://example.org", "example.org", "HTTP://example.org", ""] {
            assert!(matches!(check(none), Err(ServerError::Address(_))), "{none}");
        }
    }
}

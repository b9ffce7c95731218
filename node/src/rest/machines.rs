//! Orchestrators as they are shown: those that registered, and every node of the cluster.
//!
//! **Invariants**: a node is listed once, in the scope of the node that is asked, whether its agents claimed anything or not; whether
//! one is active follows from when any member heard it, never from what it says of itself.

use octopoid_client::Orchestrator;
use octopoid_crdt::ids::AuthorKey;
use octopoid_net::PeerKey;

use super::app::App;
use super::heartbeats;
use super::orchestrators::status;
use super::times::{now_ms, rfc3339};
use crate::ops::orchestrators::{self, Listed, Wish};
use crate::store::{Fault, Reader};

/// The first half of the id of a node that is in no named cluster.
const LOCAL: &str = "local";

impl App {
    /// Shows an orchestrator.
    pub(super) fn orchestrator(&self, listed: Listed) -> Orchestrator {
        let Listed { scope, id, registration } = listed;
        let elsewhere = self.settings.cluster.as_ref().and_then(|cluster| cluster.heard(&heartbeats::name(&scope, &id)));
        let heard = self.heartbeats.last(&scope, &id).max(elsewhere);
        Orchestrator {
            status: status(&registration, heard, now_ms()).to_owned(),
            last_heartbeat: heard.map(rfc3339),
            cluster: registration.cluster,
            machine_id: registration.machine_id,
            hostname: registration.hostname,
            repo_url: registration.repo_url,
            registered_at: rfc3339(registration.registered_ms),
            version: registration.version,
            capabilities: registration.capabilities,
            scope,
            id,
        }
    }

    /// Returns what a caller may see, nodes first, this one before the others.
    pub(super) fn orchestrators(&self, reader: &Reader, scope: Option<&str>) -> Result<Vec<Orchestrator>, Fault> {
        let listed = orchestrators::list(reader, scope)?.into_iter().map(|listed| self.orchestrator(listed));
        let own = self.settings.scope.as_str();
        if scope.is_some_and(|scope| scope != own) {
            return Ok(listed.collect());
        }
        let mut found = self.nodes(reader)?;
        let nodes: Vec<String> = found.iter().map(|node| node.id.clone()).collect();
        found.extend(listed.filter(|known| known.scope != own || !nodes.contains(&known.id)));
        Ok(found)
    }

    /// Tells whether this is the id of a node.
    pub(super) fn is_node(&self, id: &str) -> bool {
        let cluster = self.cluster_name();
        self.members().into_iter().any(|member| id == node_id(&cluster, &member.name))
    }

    fn cluster_name(&self) -> String {
        self.settings.store.membership().name().map_or_else(|| LOCAL.to_owned(), ToString::to_string)
    }

    /// Shows every node of the cluster as the orchestrator that it is.
    fn nodes(&self, reader: &Reader) -> Result<Vec<Orchestrator>, Fault> {
        let cluster = self.cluster_name();
        let mut members = self.members();
        members.sort_by_key(|member| member.state != "this node");
        let view = self.settings.store.membership();
        let mut nodes = Vec::with_capacity(members.len());
        for member in members {
            let key = view.members().map(|(key, _)| *key).find(|key| PeerKey(key.0).to_string() == member.peer_id);
            let (own, connected) = (member.state == "this node", member.state == "connected");
            let wish = if own || connected { Wish::Active } else { Wish::Offline };
            nodes.push(Orchestrator {
                id: node_id(&cluster, &member.name),
                cluster: cluster.clone(),
                registered_at: rfc3339(self.joined_ms(reader, key)?),
                last_heartbeat: if own || connected { Some(rfc3339(now_ms())) } else { member.last_seen },
                status: wish.as_str().to_owned(),
                version: if own { Some(env!("CARGO_PKG_VERSION").to_owned()) } else { member.version },
                machine_id: member.name,
                scope: self.settings.scope.to_string(),
                ..Orchestrator::default()
            });
        }
        Ok(nodes)
    }

    /// Returns when a member joined, by the clock of who let it in.
    fn joined_ms(&self, reader: &Reader, key: Option<AuthorKey>) -> Result<u64, Fault> {
        let view = self.settings.store.membership();
        let by = view.members().find(|(known, _)| Some(**known) == key).map(|(_, member)| member.by);
        let arrival = by.map(|by| reader.arrival(&by)).transpose()?.flatten();
        let record = arrival.map(|arrival| reader.record(arrival)).transpose()?.flatten();
        Ok(record.map_or(self.started_ms, |record| record.payload().wall_ms))
    }
}

fn node_id(cluster: &str, machine: &str) -> String {
    format!("{cluster}-{machine}")
}

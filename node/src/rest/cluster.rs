//! The cluster: members, requests to join, invitations. For the node's own token; a join key sees the cluster and gets invitations.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use octopoid_client::{
    ApproveRequest, ClusterInfo, ClusterName, ClusterOffline, CodeRequest, ErrorBody, IntegratorRequest, Invitation, InviteRequest,
    MemberInfo, Peers, PendingMember, RemoveRequest,
};
use octopoid_crdt::ids::AuthorKey;
use octopoid_crdt::membership::View;
use octopoid_crdt::peer::join::{Code, Decision};
use octopoid_crdt::record::Access;
use octopoid_net::PeerKey;

use super::access::Caller;
use super::app::App;
use super::input::{Call, Input, Segments};
use super::refusal::Refusal;
use super::times::rfc3339;
use crate::cluster::{Cluster, MemberView, Strikes, access_name, parse_access};
use crate::ops::members::{open_to_others, remove, set_integrator};
use crate::store::Fault;

/// How long an invitation is valid where nothing else is said.
const VALID: u64 = 3_600;
/// The longest that one is valid.
const LONGEST: u64 = 30 * 24 * 3_600;
/// More own records than these are not counted one by one.
const PENDING: usize = 100_000;

impl App {
    fn running_cluster(&self) -> Result<&Cluster, Refusal> {
        let why = "this node takes part in no network now: name its cluster with `octopoid cluster name NAME` and start it again";
        self.settings.cluster.as_ref().ok_or_else(|| Refusal::Offline(why.to_owned()))
    }

    /// Returns how the project shares its tasks.
    pub(super) fn mode(&self, view: &View) -> &'static str {
        if view.authority().is_some() {
            "server-wins"
        } else if view.name().is_some() || view.members().count() > 1 {
            "mesh"
        } else {
            "local"
        }
    }

    /// Names a member.
    pub(super) fn member_name(&self, view: &View, key: &AuthorKey) -> String {
        let named = view.members().find(|(known, _)| *known == key).and_then(|(_, member)| member.name.as_ref());
        match named {
            Some(name) => name.to_string(),
            None if *key == self.settings.store.me() => self.settings.machine_id.clone(),
            None => key.short(),
        }
    }

    pub(super) fn members(&self) -> Vec<MemberInfo> {
        let view = self.settings.store.membership();
        let me = self.settings.store.me();
        let seen = match &self.settings.cluster {
            Some(cluster) => cluster.members(),
            None => view.members().map(|(key, member)| unseen(key, member.access, *key == me)).collect(),
        };
        seen.into_iter().map(|member| self.member(&view, member)).collect()
    }

    fn member(&self, view: &View, seen: MemberView) -> MemberInfo {
        let state = match (seen.own, seen.connected, seen.since_ms) {
            (true, _, _) => "this node",
            (false, true, _) => "connected",
            (false, false, Some(_)) => "offline",
            (false, false, None) => "unseen",
        };
        let told = seen.presence.as_ref();
        let own_name = told.map(|presence| presence.machine.clone()).filter(|name| !name.is_empty());
        MemberInfo {
            name: seen.name.clone().or(own_name).unwrap_or_else(|| self.member_name(view, &seen.key)),
            peer_id: seen.peer_id.clone(),
            access: access_name(seen.access).to_owned(),
            state: state.to_owned(),
            last_seen: seen.since_ms.map(rfc3339),
            lag: seen.lag as u64,
            agents: told.map(|presence| presence.agents),
            idle: told.filter(|_| seen.connected).and_then(|presence| presence.idle.clone()),
            version: told.map(|presence| presence.version.clone()),
            addresses: if seen.addresses.is_empty() { told.map(|told| told.addresses.clone()).unwrap_or_default() } else { seen.addresses },
            last_failure: seen.last_failure,
            strikes: seen.strikes.count,
            last_strike: (seen.strikes.count > 0).then_some(seen.strikes.last),
        }
    }

    /// Tells of members that are connected and claim nothing.
    pub(super) fn idle_members(members: &[MemberInfo]) -> impl Iterator<Item = String> {
        members.iter().filter_map(|member| Some(format!("'{}' claims nothing: {}", member.name, member.idle.as_ref()?)))
    }

    /// Tells of what members did that no correct node does, and of authors whose records contradict each other.
    pub(super) fn misdeeds(&self, members: &[MemberInfo]) -> Result<Vec<String>, Fault> {
        let struck = members.iter().filter(|member| member.strikes > 0).map(|member| {
            let (name, last) = (&member.name, member.last_strike.as_deref().unwrap_or_default());
            let times = if member.strikes == 1 { "once".to_owned() } else { format!("{} times", member.strikes) };
            format!("'{name}' did {times} what no correct node does ({last}); to remove it: octopoid peers remove {name}")
        });
        let view = self.settings.store.membership();
        let mut forks = BTreeMap::<AuthorKey, usize>::new();
        for fork in self.settings.store.forks()? {
            *forks.entry(fork.author).or_default() += 1;
        }
        let forks = forks.into_iter().map(|(author, count)| {
            let (name, places) = (self.member_name(&view, &author), if count == 1 { "place" } else { "places" });
            format!(
                "{count} {places} where two records of '{name}' continue the same one: its store was restored from a backup, or it lies; \
                 both are kept, nothing is lost"
            )
        });
        Ok(struck.chain(forks).collect())
    }

    /// Counts own records that no other member holds; in server-wins mode those that the authority does not.
    pub(super) async fn pending_sync(&self) -> Result<u64, Refusal> {
        let pending = self.read(|app, reader| {
            let store = &app.settings.store;
            Ok::<_, Fault>(reader.pending(&store.me(), &store.membership(), PENDING)? as u64)
        });
        pending.await
    }

    /// Tells whether nobody of whom this node needs to hear is connected: in server-wins mode the authority, else any member.
    pub(super) fn is_offline(&self, members: &[MemberInfo]) -> bool {
        match self.settings.store.membership().authority() {
            Some(authority) if *authority == self.settings.store.me() => false,
            Some(authority) => !self.settings.cluster.as_ref().is_some_and(|cluster| cluster.reaches(authority)),
            None => !members.iter().any(|member| member.state == "connected"),
        }
    }

    /// Tells whether this node was told to keep to itself.
    pub(super) fn kept_offline(&self) -> bool {
        self.settings.cluster.as_ref().is_some_and(Cluster::is_kept_offline)
    }

    async fn cluster_info(&self) -> Result<ClusterInfo, Refusal> {
        let store = &self.settings.store;
        let view = store.membership();
        let members = self.members();
        let others = members.iter().any(|member| member.state != "this node");
        let addresses = self.settings.cluster.as_ref().map(|cluster| own_addresses(cluster, &self.settings.peer_id));
        Ok(ClusterInfo {
            mode: self.mode(&view).to_owned(),
            name: view.name().map(ToString::to_string),
            cluster_id: store.cluster().to_string(),
            authority: view.authority().map(|key| self.member_name(&view, key)),
            integrator: view.integrator().map(|key| self.member_name(&view, key)),
            offline: others && self.is_offline(&members),
            kept_offline: self.kept_offline(),
            members,
            pending_sync: self.pending_sync().await?,
            addresses: addresses.unwrap_or_default(),
        })
    }

    fn peers(&self) -> Peers {
        let pending = self.settings.cluster.as_ref().map(|cluster| cluster.reception().pending()).unwrap_or_default();
        let pending = pending.into_iter().map(|pending| PendingMember {
            code: pending.code.to_string(),
            name: pending.machine.to_string(),
            peer_id: PeerKey(pending.key.0).to_string(),
            approved: pending.approved.is_some(),
        });
        Peers { members: self.members(), pending: pending.collect() }
    }
}

fn own_addresses(cluster: &Cluster, peer_id: &str) -> Vec<String> {
    cluster.addresses().iter().map(|address| format!("{address}/p2p/{peer_id}")).collect()
}

fn unseen(key: &AuthorKey, access: Access, own: bool) -> MemberView {
    MemberView {
        key: *key,
        peer_id: PeerKey(key.0).to_string(),
        name: None,
        access,
        own,
        connected: own,
        since_ms: None,
        lag: 0,
        strikes: Strikes::default(),
        presence: None,
        addresses: Vec::new(),
        last_failure: None,
    }
}

/// Shows the cluster as this node sees it.
#[utoipa::path(get, path = "/api/v1/cluster", tag = "cluster",
    responses((status = 200, body = ClusterInfo), (status = 403, body = ErrorBody)))]
pub(super) async fn show(State(app): State<App>, call: Call) -> Result<Json<ClusterInfo>, Refusal> {
    call.caller.may_let_in()?;
    Ok(Json(app.cluster_info().await?))
}

/// Names the cluster: a project of its own becomes one that others can join.
#[utoipa::path(put, path = "/api/v1/cluster/name", tag = "cluster", request_body = ClusterName,
    responses((status = 200, body = ClusterInfo), (status = 400, body = ErrorBody), (status = 403, body = ErrorBody)))]
pub(super) async fn name(State(app): State<App>, input: Input<ClusterName>) -> Result<Json<ClusterInfo>, Refusal> {
    input.call.caller.must_be_node()?;
    let name = input.body.name.parse().map_err(|error: octopoid_crdt::ids::IdError| Refusal::field("name", error.to_string()))?;
    let machine = app.settings.machine_id.parse().ok();
    app.settings.store.write(move |unit| open_to_others(unit, &name, machine).map_err(Refusal::from)).await??;
    Ok(Json(app.cluster_info().await?))
}

/// Cuts this node off from all members, or lets it connect again. It works on alone; a restart connects again too.
#[utoipa::path(put, path = "/api/v1/cluster/offline", tag = "cluster", request_body = ClusterOffline,
    responses((status = 200, body = ClusterInfo), (status = 403, body = ErrorBody), (status = 503, body = ErrorBody)))]
pub(super) async fn offline(State(app): State<App>, input: Input<ClusterOffline>) -> Result<Json<ClusterInfo>, Refusal> {
    input.call.caller.must_be_node()?;
    app.running_cluster()?.keep_offline(input.body.offline);
    Ok(Json(app.cluster_info().await?))
}

/// Sets which node merges where there is no remote. It looks for what former ones merged until it has it.
#[utoipa::path(put, path = "/api/v1/cluster/integrator", tag = "cluster", request_body = IntegratorRequest,
    responses((status = 200, body = ClusterInfo), (status = 403, body = ErrorBody), (status = 404, body = ErrorBody),
        (status = 409, body = ErrorBody)))]
pub(super) async fn integrator(State(app): State<App>, input: Input<IntegratorRequest>) -> Result<Json<ClusterInfo>, Refusal> {
    input.call.caller.must_be_node()?;
    let wanted = app.member_key(&input.body.node)?;
    app.settings.store.write(move |unit| set_integrator(unit, wanted).map_err(Refusal::from)).await??;
    Ok(Json(app.cluster_info().await?))
}

/// Lists the members and who asks to be one.
#[utoipa::path(get, path = "/api/v1/cluster/peers", tag = "cluster",
    responses((status = 200, body = Peers), (status = 403, body = ErrorBody)))]
pub(super) async fn peers(State(app): State<App>, call: Call) -> Result<Json<Peers>, Refusal> {
    call.caller.must_be_node()?;
    Ok(Json(app.peers()))
}

/// Reads what a new member may do; a worker unless it is said.
fn read_access(word: Option<&str>) -> Result<Access, Refusal> {
    let Some(word) = word else { return Ok(Access::Worker) };
    parse_access(word).ok_or_else(|| Refusal::field("access", format!("'{word}' is not admin, worker or reader")))
}

async fn decide(app: &App, caller: &Caller, code: &str, decision: Decision) -> Result<Json<Peers>, Refusal> {
    caller.must_be_node()?;
    let code: Code = code.parse().map_err(|error: octopoid_crdt::peer::join::CodeError| Refusal::field("code", error.to_string()))?;
    app.running_cluster()?.reception().decide(&code, decision).await?;
    Ok(Json(app.peers()))
}

/// Lets in the machine that shows a code.
#[utoipa::path(post, path = "/api/v1/cluster/peers/approve", tag = "cluster", request_body = ApproveRequest,
    responses((status = 200, body = Peers), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody), (status = 503, body = ErrorBody)))]
pub(super) async fn approve(State(app): State<App>, input: Input<ApproveRequest>) -> Result<Json<Peers>, Refusal> {
    let access = read_access(input.body.access.as_deref())?;
    decide(&app, &input.call.caller, &input.body.code, Decision::Approve(access)).await
}

/// Does not let in the machine that shows a code.
#[utoipa::path(post, path = "/api/v1/cluster/peers/deny", tag = "cluster", request_body = CodeRequest,
    responses((status = 200, body = Peers), (status = 404, body = ErrorBody), (status = 503, body = ErrorBody)))]
pub(super) async fn deny(State(app): State<App>, input: Input<CodeRequest>) -> Result<Json<Peers>, Refusal> {
    decide(&app, &input.call.caller, &input.body.code, Decision::Deny).await
}

/// Removes a member, by its name or peer id. What it wrote until now stays in effect.
#[utoipa::path(post, path = "/api/v1/cluster/peers/{name}/remove", tag = "cluster", request_body = Option<RemoveRequest>,
    params(("name" = String, Path, description = "The member's name or peer id")),
    responses((status = 200, body = Peers), (status = 403, body = ErrorBody), (status = 404, body = ErrorBody)))]
pub(super) async fn remove_peer(State(app): State<App>, segments: Segments, input: Input<RemoveRequest>) -> Result<Json<Peers>, Refusal> {
    input.call.caller.must_be_node()?;
    let reason = input.body.reason.unwrap_or_default();
    super::texts::reason("reason", &reason)?;
    let member = app.member_key(segments.get("name"))?;
    app.settings.store.write(move |unit| remove(unit, &member, &reason).map_err(Refusal::from)).await??;
    Ok(Json(app.peers()))
}

/// Makes an invitation for one machine.
#[utoipa::path(post, path = "/api/v1/cluster/invites", tag = "cluster", request_body = Option<InviteRequest>,
    responses((status = 201, body = Invitation), (status = 400, body = ErrorBody), (status = 403, body = ErrorBody),
        (status = 503, body = ErrorBody)))]
pub(super) async fn invite(State(app): State<App>, input: Input<InviteRequest>) -> Result<(StatusCode, Json<Invitation>), Refusal> {
    let caller = input.call.caller;
    caller.may_let_in()?;
    let access = read_access(input.body.access.as_deref())?;
    if caller == Caller::Joiner && access == Access::Admin {
        return Err(Refusal::Forbidden(
            "the join key lets in workers and readers: an admin is let in with the node's own token".to_owned(),
        ));
    }
    let valid = input.body.expires_seconds.unwrap_or(VALID);
    let longest = if caller == Caller::Joiner { VALID } else { LONGEST };
    if !(1..=longest).contains(&valid) {
        return Err(Refusal::field("expires_seconds", format!("{valid} is outside 1 to {longest}")));
    }
    let cluster = app.running_cluster()?;
    let addresses = cluster.addresses().into_iter().take(octopoid_crdt::peer::limits::TICKET_ADDRESSES).collect();
    let ticket = cluster.reception().invite(access, Duration::from_secs(valid), addresses)?;
    let text = ticket.to_text().map_err(crate::cluster::WelcomeError::from)?;
    let answer = Invitation { ticket: text, expires_at: rfc3339(ticket.expires_ms), access: access_name(access).to_owned() };
    Ok((StatusCode::CREATED, Json(answer)))
}

//! Who grants claims and judges work. For the node's own token.

use axum::Json;
use axum::extract::{FromRequest as _, Request, State};
use octopoid_client::{AuthorityInfo, AuthorityRequest, ErrorBody};
use octopoid_crdt::ids::AuthorKey;
use octopoid_net::PeerKey;

use super::app::App;
use super::forward::PassedOn;
use super::input::{Call, Input};
use super::refusal::Refusal;
use crate::cluster::PassedCall;
use crate::ops::members::{MembersRefused, set_authority};

impl App {
    fn authority_info(&self) -> AuthorityInfo {
        let view = self.settings.store.membership();
        let authority = view.authority().copied();
        let own = authority == Some(self.settings.store.me());
        let reached = |key: &AuthorKey| self.settings.cluster.as_ref().is_some_and(|cluster| cluster.reaches(key));
        AuthorityInfo {
            mode: self.mode(&view).to_owned(),
            authority: authority.map(|key| self.member_name(&view, &key)),
            peer_id: authority.map(|key| PeerKey(key.0).to_string()),
            own,
            reachable: own || authority.as_ref().is_some_and(reached),
            policy: view.policy().map_or(0, |policy| policy.number),
        }
    }

    /// Finds a member by its name or peer id.
    pub(super) fn member_key(&self, wanted: &str) -> Result<AuthorKey, Refusal> {
        let found = self.members().into_iter().find(|member| member.name == wanted || member.peer_id == wanted);
        let missing = || Refusal::NotFound(format!("no member is called '{wanted}': `octopoid peers list` shows who is"));
        let key: PeerKey = found.ok_or_else(missing)?.peer_id.parse().map_err(|_| missing())?;
        Ok(AuthorKey(key.0))
    }
}

/// Tells who grants claims and judges work.
#[utoipa::path(get, path = "/api/v1/cluster/authority", operation_id = "authority", tag = "cluster",
    responses((status = 200, body = AuthorityInfo), (status = 403, body = ErrorBody)))]
pub(super) async fn show(State(app): State<App>, call: Call) -> Result<Json<AuthorityInfo>, Refusal> {
    call.caller.must_be_node()?;
    Ok(Json(app.authority_info()))
}

/// Sets who grants claims and judges work. Another node that has it hands it over itself, unless it is taken by force.
#[utoipa::path(put, path = "/api/v1/cluster/authority", tag = "cluster", request_body = AuthorityRequest,
    responses((status = 200, body = AuthorityInfo), (status = 403, body = ErrorBody), (status = 404, body = ErrorBody),
        (status = 409, body = ErrorBody), (status = 503, body = ErrorBody)))]
pub(super) async fn set(State(app): State<App>, request: Request) -> Result<Json<AuthorityInfo>, Refusal> {
    let passed_on = request.extensions().get::<PassedOn>().is_some();
    let Input { body, call } = Input::<AuthorityRequest>::from_request(request, &app).await?;
    call.caller.must_be_node()?;
    let wanted = body.node.as_deref().map(|name| app.member_key(name)).transpose()?;
    let force = body.force;
    match app.settings.store.write(move |unit| set_authority(unit, wanted, force)).await? {
        Ok(_) => Ok(Json(app.authority_info())),
        Err(MembersRefused::AuthorityElsewhere(old)) if !passed_on => hand_over(&app, old, wanted).await,
        Err(refused) => Err(refused.into()),
    }
}

/// Has the authority hand itself over, and answers when this node knows.
async fn hand_over(app: &App, old: AuthorKey, wanted: Option<AuthorKey>) -> Result<Json<AuthorityInfo>, Refusal> {
    let request = AuthorityRequest { node: wanted.map(|key| PeerKey(key.0).to_string()), force: false };
    let call = PassedCall {
        method: Some("PUT".to_owned()),
        path: "/api/v1/cluster/authority".to_owned(),
        scope: app.settings.scope.to_string(),
        body: serde_json::to_string(&request).map_err(|_| Refusal::Defect)?,
        conditions: Vec::new(),
        ..PassedCall::default()
    };
    let mut away = app.authority_away(&old);
    away.offline.push_str(", or take the authority with --force if it is gone for good");
    let mut changes = app.settings.store.membership_changes();
    let answer = app.pass(&old, call, &away).await?;
    if answer.status != 200 {
        let body: ErrorBody = serde_json::from_str(&answer.body).unwrap_or_default();
        return Err(if answer.status == 403 { Refusal::Forbidden(body.error) } else { Refusal::Conflict(body.error) });
    }
    let known = changes.wait_for(|view| view.authority().copied() == wanted);
    // It travels like every record, so it is here in a moment.
    let _ = tokio::time::timeout(super::forward::SHOWN, known).await;
    Ok(Json(app.authority_info()))
}

//! The REST contract, row by row, over real sockets against every node of a cluster of three: among equals and with one node
//! that decides, in both settings of `api.compat`.
//!
//! Every case sits at one node ([`desk::Desk`]) with a scope of its own, so all cases of a cluster share its nodes. A case that
//! fails does not hide the others: a cluster's failures are told together.
//!
//! | row of the contract | cases |
//! |---|---|
//! | errors, unknown routes, 404 with `task_id`, 405 | `conventions`: `an_unknown_route_…`, `a_task_that_is_not_there_…`, `what_is_not_there_besides_tasks_…` |
//! | malformed JSON, 413, 415; wrong types by name | `conventions`: `a_body_that_is_no_json_object_…`, `a_field_of_a_wrong_type_…` |
//! | 421 Host, 403 Origin, no CORS | `conventions`: `a_foreign_host_…` |
//! | times, of answers and of clients | every `has_shape`; `conventions`: `times_of_clients_…` |
//! | `api.compat`: flags, `scope` and `branch` | every `has_shape` of a task; `conventions`: `a_request_without_a_scope_…` |
//! | JSON-valued text fields | `tasks`, `papers`, `flows`: the fields that are [`shape::Kind::Json`] |
//! | lists: limit, offset, total, bad numbers, comma separated | `conventions`: `every_list_…`; filters with each list |
//! | every field of a task, with its type | [`shape::TASK`] in every case that is answered with a task |
//! | scopes, ids in several scopes | `access`: `an_id_in_several_scopes_…`; `conventions`: `a_request_without_a_scope_…` |
//! | keys: 401, 403, told once, replaced | `access` |
//! | `version`, `ETag`, `If-Match`, `Idempotency-Key` | `conventions`: `a_tag_and_a_version_…`, `a_request_with_a_key_…` |
//! | `GET /tasks` | `tasks`: `a_list_is_filtered_and_sorted` |
//! | `POST /tasks`, blockers | `tasks`: `a_new_task_…`, `a_task_that_cannot_be_made_…`, `a_role_must_be_known_…`, `only_open_blockers_…` |
//! | `GET`, `PATCH`, `DELETE /tasks/:id` | `tasks`: `a_patch_…`, `the_acting_fields_…`, `a_deleted_task_…` |
//! | claim, renew, submit, release | `claims`; at another node: `elsewhere` |
//! | accept, reject, requeue, cancel, force-queue, hooks | `verdicts`; at another node: `elsewhere` |
//! | messages, history, attempts, log of a task | `trail`, `posts` |
//! | health, root, description, events, metrics, cluster | `node` |
//! | orchestrators, roles, poll | `machines` |
//! | projects, drafts | `papers` |
//! | flows | `flows` |
//! | messages, actions | `posts` |
//! | one state at every node | `elsewhere`: `what_one_node_is_told_…` |
//!
//! Elsewhere: `api.auth: none`, kept hashes and the 24 h of a key in `octopoid-node`'s `rest` tests; logs of agents in `cluster::logs`;
//! 503 without the authority in `server`; import and export with theirs.

mod access;
mod claims;
mod conventions;
mod desk;
mod elsewhere;
mod flows;
mod machines;
mod node;
mod papers;
mod posts;
mod shape;
mod tasks;
mod trail;
mod verdicts;

use std::any::Any;
use std::pin::Pin;

use octopoid_tests::Cluster;

use desk::{Desk, Mode};

type Run = fn(Desk) -> Pin<Box<dyn Future<Output = ()>>>;

macro_rules! cases {
    ($($module:ident :: { $($name:ident),+ $(,)? }),+ $(,)?) => {
        &[$($((concat!(stringify!($module), "::", stringify!($name)), (|desk| Box::pin($module::$name(desk))) as Run)),+),+]
    };
}

const CASES: &[(&str, Run)] = cases! {
    conventions::{
        an_unknown_route_and_a_wrong_method_are_told_in_json,
        a_body_that_is_no_json_object_is_refused_by_every_call,
        a_field_of_a_wrong_type_is_named,
        a_task_that_is_not_there_is_named_whatever_is_asked_of_it,
        what_is_not_there_besides_tasks_is_404,
        a_foreign_host_and_a_foreign_page_are_turned_away,
        every_list_has_a_limit_an_offset_and_a_total,
        a_tag_and_a_version_guard_against_lost_updates,
        a_request_with_a_key_is_carried_out_once,
        times_of_clients_are_normalised_or_refused,
        a_request_without_a_scope_means_the_nodes_own,
    },
    access::{
        only_health_is_open,
        a_key_is_told_once_and_bound_to_its_scope,
        a_key_is_replaced_by_its_holder,
        an_id_in_several_scopes_is_told_apart_by_name,
    },
    tasks::{
        a_new_task_has_every_field_and_the_defaults,
        a_new_task_keeps_what_it_is_given,
        a_task_that_cannot_be_made_says_why,
        a_role_must_be_known_where_any_is_and_a_project_gives_its_branch,
        a_list_is_filtered_and_sorted,
        a_patch_edits_every_document_field,
        a_patch_refuses_what_it_cannot_set,
        the_acting_fields_of_a_patch_move_release_and_renew,
        a_deleted_task_is_gone_and_frees_those_that_waited,
        only_open_blockers_are_shown_and_hold_a_task_back,
    },
    claims::{
        a_claim_takes_the_first_by_priority_then_age,
        a_claim_chooses_by_role_type_and_queue,
        a_role_says_where_its_claims_come_from,
        a_review_claim_is_exclusive_and_moves_nothing,
        a_lease_is_renewed_by_its_holder_alone,
        work_is_submitted_by_its_holder_alone,
        many_turns_without_enough_commits_need_continuation,
        a_holder_gives_the_task_back,
        a_claim_that_nobody_renews_ends,
    },
    verdicts::{
        accepted_work_is_done_and_frees_those_that_waited,
        rejected_work_comes_back_with_its_reason,
        a_requeue_counts_an_attempt,
        a_task_is_given_up_once,
        a_forced_move_passes_the_flow_and_says_so,
        a_hook_is_completed_by_name,
    },
    trail::{ history_tells_every_step_with_who_and_where, a_log_is_text_of_an_attempt, a_cancelled_task_is_archived },
    papers::{ a_project_has_its_defaults_and_is_edited, a_project_with_tasks_stays, a_draft_becomes_what_it_is_about },
    posts::{
        messages_are_written_once_and_answered_in_threads,
        an_action_goes_through_its_statuses,
        an_expired_action_is_neither_listed_nor_executed,
    },
    flows::{ a_flow_is_put_shown_and_deleted, a_flow_decides_which_verdicts_are_legal },
    machines::{
        an_orchestrator_registers_once_and_is_heard,
        every_node_is_listed_and_heard_of_everywhere,
        roles_belong_to_the_scope_of_their_orchestrator,
        a_poll_tells_what_waits_in_one_scope,
    },
    node::{ health_and_root_name_the_node, events_are_told_in_order_and_go_on, metrics_and_the_cluster_are_shown },
    elsewhere::{
        a_holder_may_call_any_node,
        a_verdict_may_be_given_at_any_node,
        the_acting_fields_of_a_patch_work_at_any_node,
        what_one_node_is_told_every_node_shows,
    },
};

/// How many cases run at once against one node.
const ABREAST: usize = 4;

/// Forms a cluster of three with these settings.
async fn cluster(mode: Mode) -> Cluster {
    let config = if mode.head { "api:\n  compat: head\n" } else { "" };
    let cluster = Cluster::configured(3, false, &[], config).await;
    cluster.until_connected().await;
    if mode.served {
        let _ = cluster.machines[0].run(&["authority", "set", "machine-1"]).ok();
        for machine in &cluster.machines {
            let known = async || {
                let known = machine.client().authority().await.map_err(|error| error.to_string())?.authority;
                if known.as_deref() == Some("machine-1") { Ok(()) } else { Err(format!("{known:?}")) }
            };
            machine.until("machine-1 decides", known).await;
        }
    }
    cluster
}

/// Plays every case at one node; returns what failed.
async fn play(cluster: &Cluster, mode: Mode, at: usize) -> Vec<String> {
    let wanted = std::env::var("OCTOPOID_CONTRACT_CASE").unwrap_or_default();
    let places = std::sync::Arc::new(tokio::sync::Semaphore::new(ABREAST));
    let chosen = CASES.iter().copied().filter(|(name, _)| name.contains(&wanted));
    let played = chosen.map(|(name, run)| {
        let (desk, places) = (Desk::new(cluster, mode, at, name), places.clone());
        let case = tokio::task::spawn_local(async move {
            let _place = places.acquire_owned().await;
            run(desk).await;
        });
        (name, case)
    });
    let mut failed = Vec::new();
    for (name, case) in played.collect::<Vec<_>>() {
        if let Err(error) = case.await {
            let why = error.try_into_panic().map(|panic| said(&*panic));
            failed.push(format!("{name} at machine-{}: {}", at + 1, why.unwrap_or_else(|_| "it was cancelled".to_owned())));
        }
    }
    failed
}

fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
}

async fn holds(mode: Mode) {
    let cluster = cluster(mode).await;
    let all = async { tokio::join!(play(&cluster, mode, 0), play(&cluster, mode, 1), play(&cluster, mode, 2)) };
    let (first, second, third) = tokio::task::LocalSet::new().run_until(all).await;
    let failed = [first, second, third].concat();
    assert!(failed.is_empty(), "{} cases fail:\n\n{}", failed.len(), failed.join("\n\n"));
}

#[tokio::test]
async fn equals_hold_the_contract() {
    holds(Mode { served: false, head: false }).await;
}

#[tokio::test]
async fn equals_that_answer_as_the_last_server_did_hold_the_contract() {
    holds(Mode { served: false, head: true }).await;
}

#[tokio::test]
async fn a_cluster_with_an_authority_holds_the_contract() {
    holds(Mode { served: true, head: false }).await;
}

#[tokio::test]
async fn a_cluster_with_an_authority_that_answers_as_the_last_server_did_holds_the_contract() {
    holds(Mode { served: true, head: true }).await;
}

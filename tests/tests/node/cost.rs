//! What agents cost, as Claude Code tells it.

use octopoid_tests::{Agent, Project};

use super::whole_job::WORK;

/// Says what Claude Code says at its end.
fn says(cost: &str) -> String {
    format!(r#"echo '{{"type":"result","subtype":"success","is_error":false,"num_turns":7,"total_cost_usd":{cost},"result":"Done."}}'"#)
}

async fn until_spent(project: &Project, usd: f64) {
    let look = async || match project.client().node_status().await {
        Ok(status) if (status.cost_usd - usd).abs() < 1e-9 => Ok(()),
        Ok(status) => Err(status.cost_usd.to_string()),
        Err(error) => Err(error.to_string()),
    };
    project.until(&format!("{usd} dollars are spent"), look).await;
}

#[tokio::test]
async fn what_attempts_and_reviews_cost_is_told_also_after_a_restart() {
    let mut project = Project::new();
    let worker = format!("{WORK}; {}", says("1.25"));
    let judge = format!(r#"result '{{"outcome":"accept"}}'; {}"#, says("0.50"));
    project.agents(&[Agent::new("worker", "implement", &worker), Agent::new("judge", "review", &judge)]);
    let id = project.enqueue("Add a feature", &[]);
    project.start().await;
    project.until_merged(&id).await;
    until_spent(&project, 1.75).await;
    project.stop(&[]).await;
    assert!(project.run(&["status"]).ok().contains("cost so far: $1.75"), "without a node, too");
    project.start().await;
    until_spent(&project, 1.75).await;
    let attempts = project.client().attempts(&id).await.expect("attempts").attempts;
    assert_eq!((attempts[0].cost_usd, attempts[0].turns_used), (Some(1.25), Some(7)));
    assert!(project.run(&["show", &id]).ok().contains("$1.25"));

    let other = project.enqueue("Another", &[]);
    project.until_merged(&other).await;
    until_spent(&project, 3.5).await;
}

#[tokio::test]
async fn a_failed_attempt_costs_too() {
    let mut project = Project::new();
    project.agents(&[Agent::new("worker", "implement", &format!("{}; exit 1", says("0.75")))]);
    let id = project.enqueue("Add a feature", &[]);
    project.start().await;
    project.until_task(&id, "tried once", |task| task.attempt_count == 1).await;
    let attempts = project.client().attempts(&id).await.expect("attempts").attempts;
    assert_eq!((attempts[0].cost_usd, attempts[0].turns_used), (Some(0.75), Some(7)));
}

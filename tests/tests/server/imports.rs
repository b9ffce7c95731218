//! What another system finished is finished here by the authority alone, so an import belongs there.

use octopoid_tests::Project;
use serde_json::json;

use crate::office::{call, served};

const FOLDER: &str = ".orchestrator/shared/queue";

fn old(machine: &Project) {
    machine.write(&format!("{FOLDER}/incoming/TASK-a1.md"), "# [TASK-a1] To be done\n");
    machine.write(&format!("{FOLDER}/done/TASK-b2.md"), "# [TASK-b2] Done there\n");
    machine.write(".orchestrator/agents.yaml", "agents:\n  - {name: impl-1, role: implementer, paused: true}\n");
}

#[tokio::test]
async fn an_import_elsewhere_than_at_the_authority_is_refused_and_names_it() {
    let mut cluster = served(2, &[]).await;
    let source = json!([{ "id": "a1", "queue": "incoming" }, { "id": "b2", "queue": "done" }]);
    old(&cluster.machines[1]);
    let agents = cluster.machines[1].read(".octopoid/agents.yaml");
    for query in ["", "?dry_run=true"] {
        let path = format!("/api/admin/import{query}");
        let (status, body, _) = call(&cluster.machines[1], "POST", &path, &[], &source).await;
        let said = body["error"].as_str().unwrap_or_default();
        assert!(status == 409 && said.contains("'machine-1' is the cluster's authority: import on that node"), "{status} {body}");
    }
    let with_node = cluster.machines[1].run(&["import", ".orchestrator"]);
    assert!(with_node.refused(4).contains("'machine-1' is the cluster's authority"), "{with_node:?}");
    cluster.machines[1].stop(&[]).await;
    let at_rest = cluster.machines[1].run(&["import", ".orchestrator"]);
    assert!(at_rest.refused(4).contains("'machine-1' is the cluster's authority"), "{at_rest:?}");
    assert_eq!(cluster.machines[1].run(&["list", "--json"]).json(), json!([]), "nothing was imported");
    assert_eq!(cluster.machines[1].read(".octopoid/agents.yaml"), agents, "agents neither");
    cluster.machines[1].start().await;

    old(&cluster.machines[0]);
    let report = cluster.machines[0].run(&["import", ".orchestrator", "--json"]).json();
    assert_eq!(report["tables"]["tasks"]["imported"], 2, "{report}");
    for machine in &cluster.machines {
        machine.until_in("a1", "incoming").await;
        machine.until_in("b2", "done").await;
    }
}

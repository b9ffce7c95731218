//! `octopoid dashboard`: the way from a terminal to the page.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use octopoid_tests::Project;

/// Puts a program in front of those that open files, and returns where it notes what it was given.
fn opener(project: &mut Project, script: &str) -> std::path::PathBuf {
    let folder = project.home().join("bin");
    fs::create_dir_all(&folder).expect("a folder");
    for name in ["xdg-open", "open"] {
        let program = folder.join(name);
        fs::write(&program, format!("#!/bin/sh\n{script}\n")).expect("written");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("made a program");
    }
    let path = std::env::var("PATH").expect("PATH");
    project.set_env("PATH", &format!("{}:{path}", folder.display()));
    project.home().join("opened")
}

#[tokio::test]
async fn the_address_of_the_dashboard_is_one_line_and_holds_the_token_where_no_browser_sends_it() {
    let mut project = Project::new();
    let refused = project.run(&["dashboard"]);
    let said = refused.refused(5);
    assert!(said.contains("no node runs here") && said.contains("octopoid start"), "{said}");
    assert!(refused.stdout.is_empty(), "{refused:?}");

    project.start().await;
    let token = project.read(".octopoid/runtime/api.token").trim().to_owned();
    let url = format!("{}/#token={token}", project.node().api_url());
    let told = project.run(&["dashboard"]);
    assert_eq!((told.ok(), told.stdout.lines().count()), (url.as_str(), 1), "{told:?}");
    assert!(!told.stderr.contains(&token) && told.stderr.contains("everything"), "{told:?}");
    assert_eq!(project.run(&["dashboard", "--json"]).json(), serde_json::json!({ "url": url }));
}

#[tokio::test]
async fn the_dashboard_is_opened_without_its_token_in_a_programs_arguments() {
    let mut project = Project::new();
    project.start().await;
    let noted = opener(&mut project, "echo \"$@\" > \"$HOME/opened\"");
    let told = project.run(&["dashboard", "--open"]);
    let url = told.ok();
    let given = fs::read_to_string(noted).expect("it was called");
    let page = project.repo().join(".octopoid/runtime/dashboard.html");
    assert_eq!(given.trim(), page.to_str().expect("UTF-8"), "a file, and no token");
    assert!(fs::read_to_string(&page).expect("the page").contains(url), "it leads to the dashboard");
    assert_eq!(fs::metadata(&page).expect("a file").permissions().mode() & 0o777, 0o600);

    let _ = opener(&mut project, "exit 3");
    let told = project.run(&["dashboard", "--open"]);
    assert!(told.ok() == url && told.stderr.contains("open the address in a browser"), "{told:?}");
}

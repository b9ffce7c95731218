//! The README's commands, as they are printed there.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    process::{Command, Stdio},
};

use octopoid_tests::{Agent, Project, command};

const README: &str = include_str!("../../../README.md");

/// Returns the lines of each console block, without their comments.
fn blocks() -> Vec<Vec<&'static str>> {
    let blocks = README.split("```console\n").skip(1).filter_map(|rest| rest.split_once("```"));
    let bare = |line: &'static str| line.split_once(" # ").map_or(line, |(command, _)| command).trim();
    blocks.map(|(block, _)| block.lines().map(bare).filter(|line| !line.is_empty()).collect()).collect()
}

/// Runs a line in a shell as a user does, with an editor that changes nothing.
fn run(project: &Project, line: &str) -> String {
    let mut shell: Command = command("sh", &project.repo(), &project.home());
    shell.env("EDITOR", "true").args(["-c", line]).stdin(Stdio::null());
    let output = shell.output().expect("sh runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "'{line}': {}\n{}{}", output.status, text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

#[tokio::test]
async fn the_daily_commands_work_as_they_are_printed() {
    let [_, daily, by_hand, _, rest] = &blocks()[..] else { panic!("the README has other blocks: {:?}", blocks()) };
    assert_eq!(&daily[..3], ["cargo install --path cli", "cd your-repository", "octopoid init"]);
    let project = Project::repository();
    let mut id = String::new();
    for line in &daily[2..] {
        // The test's own terminal is not free for a node.
        let line = if *line == "octopoid start" { "octopoid start --daemon --api-port 0" } else { line };
        let said = run(&project, &line.replace("ID", &id));
        if line == "octopoid init" {
            let work = r#"echo said; echo "$OCTOPOID_TASK_ID" > "work-$OCTOPOID_TASK_ID"; commit work"#;
            project.agents(&[Agent::new("worker", "implement", work)]);
        } else if line.starts_with("octopoid enqueue") {
            said.trim().clone_into(&mut id);
        } else if line.starts_with("octopoid logs") {
            assert!(said.contains("said"), "{said}");
        }
    }
    let address = address(&project);
    for line in by_hand {
        if *line == "octopoid stop" {
            asks_as_printed(&project, rest, &address);
        } else {
            id = submitted(&project);
        }
        if line.starts_with("octopoid merge") {
            run(&project, &format!("octopoid accept {id}"));
        }
        run(&project, &line.replace("ID", &id));
    }
    assert_eq!(project.run(&["stop"]).ok(), "no node runs");
    assert_eq!(project.merged().len(), 2, "what was accepted is merged");
}

fn address(project: &Project) -> String {
    let status = project.run(&["status", "--json"]).json();
    status["node"]["api_url"].as_str().expect("a node runs").to_owned()
}

/// Queues a task and waits until its work is submitted.
fn submitted(project: &Project) -> String {
    let id = project.enqueue("Another one", &["--role", "implement"]);
    let _ = project.run(&["wait", &id, "--queue", "provisional", "--timeout", "60"]).ok();
    id
}

/// Makes the call of the curl line without curl: it need not be there.
fn asks_as_printed(project: &Project, lines: &[&str], address: &str) {
    let [token, curl] = lines else { panic!("{lines:?}") };
    let file = token.strip_prefix("TOKEN=$(cat ").and_then(|rest| rest.strip_suffix(')')).expect("the token's file");
    let quoted: Vec<&str> = curl.split('"').collect();
    let ["curl -H ", header, " ", url, ""] = quoted[..] else { panic!("{curl}") };
    let path = url.strip_prefix("http://127.0.0.1:8787").expect("the usual address");
    let host = address.strip_prefix("http://").expect("an address");
    let mut socket = TcpStream::connect(host).expect("the node listens");
    let header = header.replace("$TOKEN", project.read(file).trim());
    write!(socket, "GET {path} HTTP/1.1\r\nHost: {host}\r\n{header}\r\nConnection: close\r\n\r\n").expect("sent");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("\"tasks\""), "{answer}");
}

/// Ends the node that a command left in the background, also when the test fails.
struct Background<'p>(&'p Project);

impl Drop for Background<'_> {
    fn drop(&mut self) {
        let _ = self.0.run(&["stop"]);
    }
}

#[tokio::test]
async fn the_commands_for_several_machines_work_as_they_are_printed() {
    let [_, _, _, shared, _] = &blocks()[..] else { panic!("the README has other blocks: {:?}", blocks()) };
    let joins = shared.iter().position(|line| line.starts_with("octopoid init --join")).expect("the line for the other machine");
    let first = Project::new();
    let second = Project::clone_of(&first);
    let _ = second.run(&["init", "--machine-id", "there", "--api-port", "0"]).ok();
    for project in [&first, &second] {
        let config = project.read(".octopoid/config.yaml");
        project.write(".octopoid/config.yaml", &format!("{config}\nnetwork:\n  listen: [/ip4/127.0.0.1/tcp/0]\n  mdns: false\n"));
        project.agents(&[]);
    }
    let (_here, _there) = (Background(&first), Background(&second));
    run(&first, "octopoid start --daemon");
    let mut ticket = String::new();
    for line in &shared[..joins] {
        let said = run(&first, line);
        if *line == "octopoid invite" {
            said.trim().clone_into(&mut ticket);
        }
    }
    let mut said = String::new();
    for line in &shared[joins..] {
        said = run(&second, &line.replace("TICKET", &ticket));
    }
    assert!(said.contains("here") && said.contains("there"), "{said}");
}

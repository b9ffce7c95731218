//! A process that the tests of agents can start and kill.
//!
//! - `octopoid-agent-helper __launch` is the launcher.
//! - `octopoid-agent-helper node hold|run FOLDER PROGRAM ARGUMENT…` starts an agent with its logs in FOLDER, writes the process
//!   record to `FOLDER/record.json`, and then holds the agent back, or lets it run, until killed.

use std::{ffi::OsString, fs, path::PathBuf, process::ExitCode, time::Duration};

use octopoid_node::agent::{AgentProcess, Argv, Environment, Launcher, Limits, Stdin, launcher_main};

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    match arguments.next() {
        Some(mode) if mode == "__launch" => launcher_main(),
        Some(mode) if mode == "node" => node(arguments),
        Some(_) | None => ExitCode::from(2),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn node(mut arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let mut next = || arguments.next().expect("hold|run FOLDER PROGRAM ARGUMENT…");
    let (mode, folder, program) = (next(), PathBuf::from(next()), next());
    let agent = AgentProcess {
        argv: Argv { program, arguments: arguments.collect() },
        environment: Environment::default(),
        directory: folder.clone(),
        stdin: Stdin::Null,
        logs: folder.clone(),
        limits: Limits::default(),
    };
    let launcher = Launcher::this_program().expect("own path");
    let held = launcher.launch(agent).await.expect("a launcher");
    // Written whole or not at all, since the tests wait for it.
    let record = serde_json::to_vec(held.record()).expect("json");
    fs::write(folder.join("record.tmp"), record).expect("a record");
    fs::rename(folder.join("record.tmp"), folder.join("record.json")).expect("a record");
    if mode == "hold" {
        tokio::time::sleep(Duration::from_secs(120)).await;
        drop(held);
    } else {
        let mut running = held.go().await.expect("a program");
        running.wait().await.expect("an end");
    }
    ExitCode::SUCCESS
}

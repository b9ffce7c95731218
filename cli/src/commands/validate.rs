//! `octopoid validate`

use serde::Serialize;

use super::server;
use crate::{
    clean,
    connection::{NodeFile, find_project},
    failure::Failure,
    node_bridge::{self, Finding, Severity},
    output::{Output, Tone},
};

/// States that the project will not work as it is. What is wrong has been listed.
#[derive(Debug, thiserror::Error)]
#[error("{errors} to fix")]
pub struct ValidateError {
    errors: usize,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  octopoid validate")]
pub struct Args {}

#[derive(Debug, Serialize)]
struct Report<'f> {
    ok: bool,
    findings: &'f [Finding],
}

pub async fn run(_: &Args, output: Output) -> Result<(), Failure> {
    let layout = find_project()?;
    let node = NodeFile::of_living(&layout).map(|node| node.pid);
    // What keeps the store from being opened is told by the findings, or by `octopoid doctor`.
    let alone = server::still_to_join(&layout).await.is_ok_and(|server| server.is_some());
    let findings = node_bridge::validate(&layout, node, alone);
    let errors = findings.iter().filter(|finding| finding.severity == Severity::Error).count();
    if output.json() {
        output.value(&Report { ok: errors == 0, findings: &findings })?;
    } else {
        for finding in &findings {
            output.line(told(finding, output))?;
            if !finding.fix.is_empty() {
                output.line(format!("  fix: {}", clean::line(&finding.fix)))?;
            }
        }
        if findings.is_empty() {
            output.line("everything is as it should be")?;
        }
    }
    if errors == 0 { Ok(()) } else { Err(ValidateError { errors }.into()) }
}

fn told(finding: &Finding, output: Output) -> String {
    let line = finding.line.map(|line| format!(":{line}")).unwrap_or_default();
    let label = match finding.severity {
        Severity::Error => output.paint(Tone::Bad, "error"),
        Severity::Warning => output.paint(Tone::Warn, "warning"),
    };
    format!("{}{line}: {label}: {}", finding.file.display(), clean::line(&finding.message))
}

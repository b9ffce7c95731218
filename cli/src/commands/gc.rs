//! `octopoid gc`

use octopoid_client::GcRequest;

use crate::{connection::Connection, failure::Failure, output::Output, table::Table};

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  octopoid gc --dry-run")]
pub struct Args {
    /// Remove nothing and tell what would be removed.
    #[arg(long)]
    dry_run: bool,
}

pub async fn run(args: &Args, output: Output) -> Result<(), Failure> {
    let connection = Connection::open().await?;
    let report = connection.client.gc(&GcRequest { dry_run: args.dry_run }).await?;
    if output.json() {
        return Ok(output.value(&report)?);
    }
    if report.items.is_empty() {
        output.note("nothing to remove");
        return Ok(());
    }
    let mut table = Table::new(&["KIND", "PATH", "REASON"]);
    for item in &report.items {
        table.row([&item.kind, &item.path, &item.reason]);
    }
    output.table(&table)?;
    let kept = report.items.iter().filter(|item| item.kept).count();
    let count = report.items.len() - kept;
    let stays = if kept == 0 { String::new() } else { format!(", {kept} stay{}", if kept == 1 { "s" } else { "" }) };
    output.note(if args.dry_run { format!("{count} would be removed{stays}: octopoid gc") } else { format!("{count} removed{stays}") });
    Ok(())
}

//! `octopoid man`

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use clap::CommandFactory;
use clap_mangen::Man;

use crate::{
    failure::{Exit, Failure},
    output::Output,
};

/// States why no page was written.
#[derive(Debug, thiserror::Error)]
#[error("write manual pages to {}", .folder.display())]
pub struct ManError {
    folder: PathBuf,
    #[source]
    source: io::Error,
}

impl ManError {
    pub fn exit(&self) -> Exit {
        Exit::Failed
    }
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  octopoid man --output ~/.local/share/man/man1")]
pub struct Args {
    /// The folder for the pages; it is made.
    #[arg(long, value_name = "DIR")]
    output: PathBuf,
}

pub fn run(args: &Args, output: Output) -> Result<(), Failure> {
    let folder = &args.output;
    let pages = write(folder).map_err(|source| ManError { folder: folder.clone(), source })?;
    if output.json() {
        return Ok(output.value(&pages)?);
    }
    Ok(output.line(format!("{}: {} pages", folder.display(), pages.len()))?)
}

fn write(folder: &Path) -> io::Result<Vec<PathBuf>> {
    fs::create_dir_all(folder)?;
    let mut root = crate::Cli::command().disable_help_subcommand(true);
    root.build();
    let mut pages = Vec::new();
    pages_of(&root, folder, &mut pages)?;
    pages.sort();
    Ok(pages)
}

/// Writes the pages of a command and of those below it; what is hidden has none.
fn pages_of(command: &clap::Command, folder: &Path, pages: &mut Vec<PathBuf>) -> io::Result<()> {
    let source = concat!("octopoid ", env!("CARGO_PKG_VERSION"));
    let man = Man::new(command.clone()).source(source).manual("Octopoid");
    let path = folder.join(man.get_filename());
    let mut text = Vec::new();
    render(&man, command, &mut text)?;
    fs::write(&path, text)?;
    pages.push(path);
    command.get_subcommands().filter(|command| !command.is_hide_set()).try_for_each(|command| pages_of(command, folder, pages))
}

/// Renders a page. Examples are a section of their own whose lines stay as they are: they are there to be copied.
fn render(man: &Man, command: &clap::Command, text: &mut Vec<u8>) -> io::Result<()> {
    man.render_title(text)?;
    man.render_name_section(text)?;
    man.render_synopsis_section(text)?;
    man.render_description_section(text)?;
    if command.get_arguments().any(|argument| !argument.is_hide_set()) {
        man.render_options_section(text)?;
    }
    if command.get_subcommands().any(|command| !command.is_hide_set()) {
        man.render_subcommands_section(text)?;
    }
    let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let examples: Vec<&str> = help.lines().skip(1).map(str::trim).filter(|line| !line.is_empty()).collect();
    if !examples.is_empty() {
        text.extend_from_slice(b".SH EXAMPLES\n.nf\n");
        for example in examples {
            text.extend_from_slice(format!("{}\n", plain(example)).as_bytes());
        }
        text.extend_from_slice(b".fi\n");
    }
    Ok(())
}

/// Writes a line so that it is printed as it is.
fn plain(line: &str) -> String {
    format!("\\&{}", line.replace('\\', "\\e").replace('-', "\\-").replace('\'', "\\(aq").replace('`', "\\(ga").replace('"', "\\(dq"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_example_is_printed_as_it_is() {
        assert_eq!(plain(r#".x --a 'b\n' "c""#), r"\&.x \-\-a \(aqb\en\(aq \(dqc\(dq");
    }
}

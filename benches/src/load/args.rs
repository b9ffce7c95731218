//! The command line of the load program.

use clap::{Parser, ValueEnum};

/// Measures a node over REST: create, list, claim, submit, accept.
///
/// Makes a scratch project with a git repository, runs a node of its own in a second process, and drives it over
/// keep-alive connections. Exits with 1 when a task was granted twice, or a request failed.
#[derive(Debug, Clone, Parser)]
#[command(
    name = "load",
    after_help = "Examples:\n  load --clients 32 --tasks 10000\n  load --scale 1000,20000,100000\n  load --restart\n  load --slow 500"
)]
pub struct Args {
    /// Connections that ask at the same time.
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=512))]
    pub clients: u32,
    /// How many tasks there are.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..=5_000_000))]
    pub tasks: u64,
    /// How many lists are asked for with each filter.
    #[arg(long, default_value_t = 400, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub lists: u64,
    /// How many bytes a task's body has.
    #[arg(long, value_name = "BYTES", default_value_t = 500, value_parser = clap::value_parser!(u64).range(0..=100_000))]
    pub body: u64,
    /// What is measured; tasks are made beforehand when create is not.
    #[arg(long, value_delimiter = ',', default_values_t = Operation::ALL)]
    pub operations: Vec<Operation>,
    /// Measures claim, submit and accept among so many open tasks, and compares the cost of one operation.
    #[arg(long, value_name = "N,N,…", value_delimiter = ',', conflicts_with_all = ["restart", "url", "operations"])]
    pub scale: Vec<u64>,
    /// How many operations of each kind --scale measures.
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub sample: u64,
    /// Kills a node with SIGKILL under load, and measures how soon it answers again and whether it lost anything.
    #[arg(long, conflicts_with_all = ["url", "operations"])]
    pub restart: bool,
    /// How many records the store of --restart holds.
    #[arg(long, default_value_t = 500_000, value_parser = clap::value_parser!(u64).range(10_000..=50_000_000))]
    pub records: u64,
    /// Measures a cluster of so many nodes: first sync of --tasks whole lives, propagation, claims at all nodes at once.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=16), conflicts_with_all = ["url", "operations", "restart", "scale"])]
    pub nodes: u32,
    /// With --nodes: also measures how soon changes are seen while so many strangers crowd the first node's door.
    #[arg(long, default_value_t = 0, requires = "nodes", value_parser = clap::value_parser!(u32).range(0..=10_000))]
    pub strangers: u32,
    /// Measures the same calls without and with so many callers who take their time, on one node.
    #[arg(long, default_value_t = 0, conflicts_with_all = ["url", "restart", "scale", "nodes"], value_parser = clap::value_parser!(u32).range(0..=900))]
    pub slow: u32,
    /// Measures a node that runs already, in a scope of its own there.
    #[arg(long, requires = "token")]
    pub url: Option<String>,
    /// That node's token.
    #[arg(long, requires = "url", env = "OCTOPOID_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// Keeps the scratch project and says where it is.
    #[arg(long)]
    pub keep: bool,
    /// Prints one JSON value.
    #[arg(long)]
    pub json: bool,
}

/// One kind of request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Operation {
    /// Makes tasks.
    Create,
    /// Lists 50 of all, with the total.
    List,
    /// Claims until nothing is left.
    Claim,
    /// Hands in what was claimed.
    Submit,
    /// Accepts what was handed in.
    Accept,
}

impl Operation {
    /// All of them, in the order in which they are measured.
    pub const ALL: [Self; 5] = [Self::Create, Self::List, Self::Claim, Self::Submit, Self::Accept];
}

impl std::fmt::Display for Operation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Create => "create",
            Self::List => "list",
            Self::Claim => "claim",
            Self::Submit => "submit",
            Self::Accept => "accept",
        })
    }
}

/// States why the arguments do not go together.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum UsageError {
    /// An operation needs the one before it.
    #[error("--operations: {0} needs {1}: name it too")]
    Needs(Operation, Operation),
    /// Another node's store cannot be filled beforehand.
    #[error("--operations: create is needed with --url, because the tasks there are not the load's")]
    Url,
    /// The calls of the two rounds begin with tasks of their own.
    #[error("--slow: create is needed, because each round has tasks of its own")]
    Slow,
    /// A node serves only so many connections.
    #[error("--slow and --clients: a node serves 1024 connections; {0} are too many")]
    Connections(u32),
    /// A number of tasks is outside the range.
    #[error("--scale: {0} is outside 1 to 5000000")]
    Scale(u64),
}

impl Args {
    /// Tells whether an operation is to be measured.
    pub fn measures(&self, operation: Operation) -> bool {
        self.operations.contains(&operation)
    }

    /// Checks what clap cannot.
    pub fn check(&self) -> Result<(), UsageError> {
        for (later, earlier) in [(Operation::Submit, Operation::Claim), (Operation::Accept, Operation::Submit)] {
            if self.measures(later) && !self.measures(earlier) {
                return Err(UsageError::Needs(later, earlier));
            }
        }
        if self.url.is_some() && !self.measures(Operation::Create) {
            return Err(UsageError::Url);
        }
        if self.slow > 0 && !self.measures(Operation::Create) {
            return Err(UsageError::Slow);
        }
        // Some room is left for those that are closed and opened again.
        if self.slow > 0 && self.slow + self.clients > 1_000 {
            return Err(UsageError::Connections(self.slow + self.clients));
        }
        match self.scale.iter().find(|tasks| !(1..=5_000_000).contains(*tasks)) {
            Some(tasks) => Err(UsageError::Scale(*tasks)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Args {
        Args::try_parse_from([&["load"], words].concat()).expect("arguments")
    }

    #[test]
    fn without_arguments_everything_is_measured() {
        let args = parse(&[]);
        assert_eq!(args.operations, Operation::ALL);
        assert_eq!((args.clients, args.tasks, args.check()), (32, 10_000, Ok(())));
    }

    #[test]
    fn an_operation_without_the_one_before_it_is_refused() {
        assert_eq!(parse(&["--operations", "create,submit"]).check(), Err(UsageError::Needs(Operation::Submit, Operation::Claim)));
        assert_eq!(parse(&["--operations", "claim,accept"]).check(), Err(UsageError::Needs(Operation::Accept, Operation::Submit)));
        assert_eq!(parse(&["--operations", "claim"]).check(), Ok(()));
    }

    #[test]
    fn slow_callers_leave_room_for_those_who_are_measured() {
        assert_eq!(parse(&["--slow", "500"]).check(), Ok(()));
        assert_eq!(parse(&["--slow", "900", "--clients", "200"]).check(), Err(UsageError::Connections(1_100)));
        assert_eq!(parse(&["--slow", "500", "--operations", "list"]).check(), Err(UsageError::Slow));
    }

    #[test]
    fn a_node_that_runs_already_gets_its_tasks_over_rest() {
        let words = ["--url", "http://127.0.0.1:8787", "--token", "oct_x", "--operations", "claim"];
        assert_eq!(parse(&words).check(), Err(UsageError::Url));
    }
}

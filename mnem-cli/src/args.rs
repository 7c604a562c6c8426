//! What can be written on the command line, and what all commands share of it.

use clap::{Parser, Subcommand, ValueEnum};

use mnem::{Repo, Snapshot};

use crate::commands;
use crate::context::Context;
use crate::exit::{self, Exit};
use crate::failure::Failure;

/// Examples come first: they are what most people look for.
const TEMPLATE: &str = "{about-with-newline}\n{before-help}{usage-heading} {usage}\n\n{all-args}{after-help}";

/// git for what a program knows
///
/// Facts are nodes and edges with properties. Every command that changes facts is one commit, durable when it returns;
/// every state that ever was can be read like the present one.
#[derive(Parser)]
#[command(
    name = "mnem",
    version,
    help_template = TEMPLATE,
    before_help = "  mnem init\n  mnem add Person name=Ada born=1815\n  mnem get Person/Ada\n  mnem log\n",
    after_help = exit::MEANINGS,
    max_term_width = 100,
    subcommand_required = true,
    arg_required_else_help = true,
    infer_long_args = false,
)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// When to colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ColorChoice {
    /// On a terminal, unless NO_COLOR is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Options of every command.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Everywhere")]
pub(crate) struct Global {
    /// Which repository: its folder, or KIND:PATH; else the one found from here upwards
    #[arg(short = 'R', long = "repo", value_name = "URL", env = "MNEM_REPO", hide_env = true, global = true)]
    pub(crate) repo: Option<String>,
    /// One JSON object a line, each with its schema
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// auto, always or never
    #[arg(
        long,
        value_name = "WHEN",
        default_value = "auto",
        hide_default_value = true,
        hide_possible_values = true,
        global = true
    )]
    pub(crate) color: ColorChoice,
    /// Long output stays on the terminal
    #[arg(long, global = true)]
    pub(crate) no_pager: bool,
    /// Only data and errors: no reports, no hints
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// How long to wait for a repository that is in use
    #[arg(long, value_name = "SECONDS", global = true)]
    pub(crate) wait: Option<f64>,
}

/// Options of commands that record something.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Write {
    /// In whose name; else that of the settings
    #[arg(long, value_name = "NAME")]
    pub(crate) actor: Option<String>,
    /// When it is to have happened; else now
    #[arg(long, value_name = "MOMENT")]
    pub(crate) time: Option<String>,
}

/// Options of commands that make a commit.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Record {
    /// What the commit is about; else the command says it
    #[arg(short, long, value_name = "TEXT")]
    pub(crate) message: Option<String>,
    #[command(flatten)]
    pub(crate) write: Write,
}

/// Which state a command reads.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct At {
    /// Which state: a branch, tag or commit, and steps from there: main~2, '*2026-11-01', op:ID
    #[arg(long, value_name = "REVISION")]
    pub(crate) at: Option<String>,
}

impl At {
    /// Returns the state.
    pub(crate) fn state(&self, repo: &Repo) -> Result<Snapshot, Failure> {
        state(repo, self.at.as_deref())
    }
}

/// Returns the state that a revision means: the present one, if there is none.
pub(crate) fn state(repo: &Repo, revision: Option<&str>) -> Result<Snapshot, Failure> {
    Ok(repo.at(revision.unwrap_or_default())?)
}

macro_rules! commands {
    ($($(#[$doc:meta])* $name:ident($module:ident);)*) => {
        /// All commands.
        #[derive(Subcommand)]
        pub(crate) enum Command {
            $($(#[$doc])* #[command(help_template = TEMPLATE, before_help = commands::$module::EXAMPLES)]
            $name(commands::$module::$name),)*
        }

        impl Command {
            /// Does it.
            pub(crate) fn run(&self, context: &mut Context<'_>) -> Result<Exit, Failure> {
                match self {
                    $(Command::$name(command) => command.run(context),)*
                }
            }
        }
    };
}

commands! {
    /// See a small story told, with its commands
    Tour(tour);
    /// Make a repository
    Init(init);
    /// Say where things stand
    Status(status);
    /// Record a node
    Add(add);
    /// Set properties of a node or an edge
    Set(set);
    /// Take properties away
    Unset(unset);
    /// Record an edge between two nodes
    Link(link);
    /// Remove edges between two nodes
    Unlink(unlink);
    /// Remove nodes, with their edges, or edges
    Rm(rm);
    /// Show nodes and edges
    Get(get);
    /// List the commits of a branch, newest first
    Log(log);
    /// Show what differs between two states
    Diff(diff);
    /// Show a commit, and what it changed
    Show(show);
    /// What became of a node or an edge, newest first
    History(history);
    /// Who wrote what is known, property by property
    Blame(blame);
    /// Find nodes or edges by what is known of them
    Query(query);
    /// Find nodes by words or by nearness, the best first
    Search(search);
    /// Make vectors of what nodes say
    Embed(embed);
    /// Show the edges of a node
    Neighbors(neighbors);
    /// Take what changed on another branch
    Merge(merge);
    /// List what sides of a merge disagree on
    Conflicts(conflicts);
    /// Settle a conflict
    Resolve(resolve);
    /// Make the changes of a commit here
    CherryPick(cherry_pick);
    /// Take the changes of a commit back
    Revert(revert);
    /// Take back what you did last
    Undo(undo);
    /// Do again what was undone last
    Redo(redo);
    /// The log of all that was done, and going back in it
    Op(op);
    /// List branches, or make one
    Branch(branch);
    /// Work on another branch
    Switch(switch);
    /// List tags, or make one
    Tag(tag);
    /// Copy a whole repository
    Clone(clone);
    /// List other repositories, or call one by a name
    Remote(remote);
    /// Take over what another repository has
    Fetch(fetch);
    /// Give another repository what is new here
    Push(push);
    /// Fetch, and merge
    Pull(pull);
    /// Agree on what properties hold, and which are looked up
    Schema(schema);
    /// Write a state as lines of JSON, or an archive
    Export(export);
    /// Record what lines of JSON say, or take over an archive
    Import(import);
    /// Count what there is
    Stats(stats);
    /// Check that everything is there and as it should be
    Fsck(fsck);
    /// Keep a copy elsewhere, or what changed since the last one
    Backup(backup);
    /// Make a repository of a backup
    Restore(restore);
    /// Say what is wrong with the files of a store
    Doctor(doctor);
    /// Save what is good of a damaged store to a new one
    Repair(repair);
    /// Let go of what nothing needs any more
    Gc(gc);
    /// Read and change settings
    Config(config);
    /// Write a script that completes commands in a shell
    Completions(completions);
    /// Write a manual page
    Man(man);
}

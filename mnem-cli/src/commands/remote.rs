//! `mnem remote`

use clap::{Args, Subcommand};
use serde_json::json;

use crate::args::Write;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Fields, Paint, Record, Text};
use crate::sharing;

pub(crate) const EXAMPLES: &str = "  mnem remote                       list them
  mnem remote add backup .          call another repository by a name\n";

/// Arguments.
#[derive(Args)]
pub(crate) struct Remote {
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Subcommand)]
enum What {
    /// List them
    List,
    /// Call another repository by a name
    Add {
        /// Its name here
        #[arg(value_name = "NAME")]
        name: String,
        /// Where it is: its folder, or KIND:PATH
        #[arg(value_name = "URL")]
        url: String,
        #[command(flatten)]
        write: Write,
    },
    /// Forget it, and where its branches stood
    Remove {
        /// Its name here
        #[arg(value_name = "NAME")]
        name: String,
        #[command(flatten)]
        write: Write,
    },
}

struct Known {
    name: String,
    url: String,
    removed: bool,
}

impl Record for Known {
    fn schema(&self) -> &'static str {
        "mnem.remote/1"
    }

    fn fields(&self, fields: &mut Fields) {
        fields.insert("remote".into(), json!(self.name));
        fields.insert("url".into(), json!(self.url));
        fields.insert("removed".into(), json!(self.removed));
    }

    fn text(&self, text: &mut Text) {
        text.plain(if self.removed { "forgot " } else { "" });
        text.painted(Paint::Name, &self.name).plain("  ").plain(&self.url).end();
    }
}

impl Remote {
    pub(crate) fn run(&self, context: &mut Context<'_>) -> Result<Exit, Failure> {
        match &self.what {
            None | Some(What::List) => {
                for (name, url) in context.open()?.remote_urls()? {
                    context.output.data(&Known { name, url, removed: false })?;
                }
            }
            Some(What::Add { name, url, write }) => {
                let url = sharing::url_of(url)?;
                let (repo, actor) = context.open_to_write(write)?;
                if repo.remote_urls()?.iter().any(|(known, _)| known == name) {
                    let taken =
                        Failure::new("taken", Exit::Failure, format!("there is a remote `{name}` already"));
                    return Err(
                        taken.hint(format!("choose another name, or `mnem remote remove {name}` first"))
                    );
                }
                repo.set_remote_url(&actor, name, Some(&url))?;
                context.output.report(&Known { name: name.clone(), url, removed: false })?;
            }
            Some(What::Remove { name, write }) => {
                let (repo, actor) = context.open_to_write(write)?;
                let known = repo.remote_urls()?.into_iter().find(|(known, _)| known == name);
                let Some((_, url)) = known else {
                    let unknown =
                        Failure::new("unknown", Exit::NotFound, format!("there is no remote `{name}`"));
                    return Err(unknown.hint("`mnem remote` lists what there is"));
                };
                repo.set_remote_url(&actor, name, None)?;
                context.output.report(&Known { name: name.clone(), url, removed: true })?;
            }
        }
        Ok(Exit::Done)
    }
}

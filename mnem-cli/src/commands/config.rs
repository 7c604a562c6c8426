//! `mnem config`

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;

use crate::config::{self, KEYS, Setting};
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Fields, Paint, Record, Text};

pub(crate) const EXAMPLES: &str = "  mnem config set actor ada          for this repository
  mnem config set --user zone +02:00
  mnem config get actor
  mnem config list\n";

/// Arguments.
#[derive(Args)]
pub(crate) struct Config {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Show what is set, and where
    List,
    /// Show one setting
    Get {
        /// Which
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Set one
    Set {
        /// Which
        #[arg(value_name = "NAME")]
        name: String,
        /// To what
        #[arg(value_name = "VALUE", allow_hyphen_values = true)]
        value: String,
        /// For all repositories of this person
        #[arg(long)]
        user: bool,
    },
    /// Take one away
    Unset {
        /// Which
        #[arg(value_name = "NAME")]
        name: String,
        /// For all repositories of this person
        #[arg(long)]
        user: bool,
    },
    /// Show where the settings lie
    Path,
}

impl Config {
    pub(crate) fn run(&self, context: &mut Context<'_>) -> Result<Exit, Failure> {
        match &self.what {
            What::List => list(context),
            What::Get { name } => get(context, name),
            What::Set { name, value, user } => change(context, name, Some(value), *user),
            What::Unset { name, user } => change(context, name, None, *user),
            What::Path => path(context),
        }
    }
}

fn list(context: &mut Context<'_>) -> Result<Exit, Failure> {
    for setting in context.config.all() {
        context.output.data(&Shown { setting: setting.clone(), only_value: false })?;
    }
    for key in KEYS.iter().filter(|key| context.config.get(key.name).is_none()) {
        context.output.hint(&format!("{} is not set: {}", key.name, key.about))?;
    }
    Ok(Exit::Done)
}

fn get(context: &mut Context<'_>, name: &str) -> Result<Exit, Failure> {
    config::key(name)?;
    let Some(setting) = context.config.get(name) else {
        return Err(Failure::new("unset", Exit::NotFound, format!("`{name}` is not set"))
            .hint(format!("set it with `mnem config set {name} VALUE`")));
    };
    context.output.data(&Shown { setting: setting.clone(), only_value: true })?;
    Ok(Exit::Done)
}

fn change(context: &mut Context<'_>, name: &str, value: Option<&str>, user: bool) -> Result<Exit, Failure> {
    let key = config::key(name)?;
    if let Some(value) = value {
        config::check(name, value)?;
    }
    let path = if user {
        context.config.user_file.clone().ok_or_else(|| {
            Failure::new("no-config", Exit::Failure, "there is no home folder for settings")
                .hint("name a file: MNEM_CONFIG=PATH")
        })?
    } else {
        context.place()?;
        context.config.repo_file.clone().ok_or_else(|| {
            Failure::new("no-config", Exit::Failure, "a store without a folder has no settings of its own")
                .hint("use --user, or the environment: MNEM_ACTOR, MNEM_ZONE, MNEM_WAIT, MNEM_PAGER")
        })?
    };
    config::change(&path, key, value)?;
    context.output.report(&Changed { name: key.name, value: value.map(str::to_owned), path })?;
    Ok(Exit::Done)
}

fn path(context: &mut Context<'_>) -> Result<Exit, Failure> {
    let files =
        [("user", context.config.user_file.clone()), ("repository", context.config.repo_file.clone())];
    for (layer, file) in files {
        if let Some(path) = file {
            context.output.data(&Where { layer, path })?;
        }
    }
    Ok(Exit::Done)
}

struct Shown {
    setting: Setting,
    only_value: bool,
}

impl Record for Shown {
    fn schema(&self) -> &'static str {
        "mnem.setting/1"
    }

    fn fields(&self, fields: &mut Fields) {
        fields.insert("name".into(), json!(self.setting.name));
        fields.insert("value".into(), json!(self.setting.value));
        fields.insert("origin".into(), json!(self.setting.origin.to_string()));
    }

    fn text(&self, text: &mut Text) {
        if self.only_value {
            text.plain(&self.setting.value).end();
            return;
        }
        text.painted(Paint::Name, self.setting.name).plain(" = ").plain(&self.setting.value);
        text.plain("  ").painted(Paint::Dim, &format!("({})", self.setting.origin)).end();
    }
}

struct Changed {
    name: &'static str,
    value: Option<String>,
    path: PathBuf,
}

impl Record for Changed {
    fn schema(&self) -> &'static str {
        "mnem.config/1"
    }

    fn fields(&self, fields: &mut Fields) {
        fields.insert("name".into(), json!(self.name));
        if let Some(value) = &self.value {
            fields.insert("value".into(), json!(value));
        }
        fields.insert("file".into(), json!(self.path.display().to_string()));
    }

    fn text(&self, text: &mut Text) {
        text.painted(Paint::Name, self.name);
        match &self.value {
            Some(value) => text.plain(" = ").plain(value),
            None => text.plain(" is not set any more"),
        };
        text.plain("  ").painted(Paint::Dim, &format!("({})", self.path.display())).end();
    }
}

struct Where {
    layer: &'static str,
    path: PathBuf,
}

impl Record for Where {
    fn schema(&self) -> &'static str {
        "mnem.config-file/1"
    }

    fn fields(&self, fields: &mut Fields) {
        fields.insert("layer".into(), json!(self.layer));
        fields.insert("file".into(), json!(self.path.display().to_string()));
    }

    fn text(&self, text: &mut Text) {
        text.plain(&format!("{:<10}  {}", self.layer, self.path.display())).end();
    }
}

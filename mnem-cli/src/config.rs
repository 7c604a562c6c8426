//! Settings, in layers: what is built in, the person's file, the repository's file, the environment. Flags beat them all.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use toml_edit::{DocumentMut, Item, Value};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::place;
use crate::similar::similar;

/// Name of a settings file.
const FILE: &str = "config.toml";

/// One setting that there is.
pub(crate) struct Key {
    pub(crate) name: &'static str,
    env: &'static str,
    built_in: Option<&'static str>,
    pub(crate) about: &'static str,
}

/// All settings.
pub(crate) const KEYS: [Key; 5] = [
    Key {
        name: "actor",
        env: "MNEM_ACTOR",
        built_in: None,
        about: "in whose name commands record; else the user's name",
    },
    Key {
        name: "embedder",
        env: "MNEM_EMBEDDER",
        built_in: None,
        about: "what makes vectors of what is recorded: hash-ngram/1, or NAME=COMMAND",
    },
    Key {
        name: "pager",
        env: "MNEM_PAGER",
        built_in: None,
        about: "what shows long output; else $PAGER, else less",
    },
    Key {
        name: "wait",
        env: "MNEM_WAIT",
        built_in: Some("5"),
        about: "seconds to wait for a repository that is in use",
    },
    Key {
        name: "zone",
        env: "MNEM_ZONE",
        built_in: Some("+00:00"),
        about: "for moments that name no zone: east of UTC",
    },
];

/// Where a setting comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    BuiltIn,
    File(PathBuf),
    Environment(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::BuiltIn => f.write_str("built in"),
            Origin::File(path) => write!(f, "{}", path.display()),
            Origin::Environment(name) => f.write_str(name),
        }
    }
}

/// A setting that is set.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    pub(crate) name: &'static str,
    pub(crate) value: String,
    pub(crate) origin: Origin,
}

/// All settings that are set, each as the strongest layer has it.
pub(crate) struct Config {
    settings: Vec<Setting>,
    /// The person's file.
    pub(crate) user_file: Option<PathBuf>,
    /// The repository's file.
    pub(crate) repo_file: Option<PathBuf>,
}

impl Config {
    /// Reads all layers. `folder` is that of the repository.
    pub(crate) fn load(folder: Option<&Path>) -> Result<Config, Failure> {
        let user_file = user_file();
        let repo_file = folder.map(|folder| folder.join(FILE));
        let mut config = Config { settings: Vec::new(), user_file, repo_file };
        for key in &KEYS {
            if let Some(value) = key.built_in {
                config.put(key, value.to_owned(), Origin::BuiltIn);
            }
        }
        for file in [config.user_file.clone(), config.repo_file.clone()].into_iter().flatten() {
            config.load_file(&file)?;
        }
        for key in &KEYS {
            if let Ok(value) = std::env::var(key.env) {
                config.put(key, value, Origin::Environment(key.env));
            }
        }
        Ok(config)
    }

    fn load_file(&mut self, path: &Path) -> Result<(), Failure> {
        for (name, item) in read(path)?.iter() {
            // A newer mnem may know keys that this one does not.
            if let (Some(key), Some(value)) = (KEYS.iter().find(|key| key.name == name), item.as_value()) {
                self.put(key, shown(value), Origin::File(path.to_owned()));
            }
        }
        Ok(())
    }

    fn put(&mut self, key: &Key, value: String, origin: Origin) {
        self.settings.retain(|setting| setting.name != key.name);
        self.settings.push(Setting { name: key.name, value, origin });
    }

    /// Returns all that is set, by name.
    pub(crate) fn all(&self) -> Vec<&Setting> {
        let mut settings: Vec<&Setting> = self.settings.iter().collect();
        settings.sort_by_key(|setting| setting.name);
        settings
    }

    /// Returns a setting.
    pub(crate) fn get(&self, name: &str) -> Option<&Setting> {
        self.settings.iter().find(|setting| setting.name == name)
    }

    /// Returns a setting's value.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.get(name).map(|setting| setting.value.as_str())
    }

    /// Returns in whose name to record.
    pub(crate) fn actor(&self) -> String {
        let user = ["USER", "LOGNAME", "USERNAME"].into_iter().find_map(|name| std::env::var(name).ok());
        self.value("actor").map(str::to_owned).or(user).unwrap_or_else(|| "someone".to_owned())
    }

    /// Returns minutes east of UTC.
    pub(crate) fn zone_minutes(&self) -> Result<i16, Failure> {
        let text = self.value("zone").unwrap_or("+00:00");
        check("zone", text)?;
        Ok(parse_zone(text).unwrap_or(0))
    }

    /// Returns how long to wait for a repository that is in use, in seconds.
    pub(crate) fn wait_s(&self) -> Result<f64, Failure> {
        let text = self.value("wait").unwrap_or("5");
        check("wait", text)?;
        Ok(text.parse().unwrap_or(5.0))
    }
}

/// Finds a setting by name.
pub(crate) fn key(name: &str) -> Result<&'static Key, Failure> {
    KEYS.iter().find(|key| key.name == name).ok_or_else(|| {
        let names = similar(name, KEYS.iter().map(|key| key.name));
        let hint = match names.first() {
            Some(name) => format!("did you mean {name}?"),
            None => "`mnem config list` shows all".to_owned(),
        };
        Failure::new("unknown", Exit::NotFound, format!("there is no setting `{name}`")).hint(hint)
    })
}

/// Refuses what a setting cannot be.
pub(crate) fn check(name: &str, value: &str) -> Result<(), Failure> {
    let expected = match name {
        "wait" => (!value.parse::<f64>().is_ok_and(|s| (0.0..=86_400.0).contains(&s)))
            .then_some("seconds from 0 to 86400"),
        "zone" => parse_zone(value).is_none().then_some("hours and minutes east of UTC: +02:00"),
        "embedder" => {
            crate::embed::embedder(value).is_err().then_some("hash-ngram/1, or NAME=COMMAND of a program")
        }
        "actor" => value.is_empty().then_some("a name"),
        _ => None,
    };
    match expected {
        Some(expected) => Err(Failure::bad_word(format!("`{value}` is no value for `{name}`"))
            .hint(format!("write {expected}"))),
        None => Ok(()),
    }
}

fn parse_zone(text: &str) -> Option<i16> {
    let moment = mnem_core::repo::Moment::parse(&format!("1970-01-02T00:00{text}"))?;
    let minutes = 24 * 60 - moment.at_offset(0) / 60_000_000;
    i16::try_from(minutes).ok().filter(|_| !text.is_empty())
}

/// Sets a key in a file, or takes it out. Comments and other keys stay.
pub(crate) fn change(path: &Path, key: &Key, value: Option<&str>) -> Result<(), Failure> {
    let mut document = read(path)?;
    match value {
        Some(value) => document[key.name] = Item::Value(Value::from(value)),
        None => drop(document.remove(key.name)),
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|error| Failure::file("make", folder, &error))?;
    }
    place::replace(path, &document.to_string())
}

fn read(path: &Path) -> Result<DocumentMut, Failure> {
    let text = match fs::read_to_string(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(DocumentMut::new()),
        other => other.map_err(|error| Failure::file("read", path, &error))?,
    };
    text.parse().map_err(|error: toml_edit::TomlError| {
        let mut failure = Failure::new("bad-config", Exit::Failure, format!("{} is no TOML", path.display()));
        failure.causes.push(error.message().to_owned());
        failure.hint("correct the file by hand")
    })
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.value().clone(),
        other => other.to_string().trim().to_owned(),
    }
}

fn user_file() -> Option<PathBuf> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    variable("MNEM_CONFIG").or_else(|| {
        let folder = variable("XDG_CONFIG_HOME").or_else(|| Some(variable("HOME")?.join(".config")))?;
        Some(folder.join("mnem").join(FILE))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_minutes_east_of_utc() {
        for (text, minutes) in
            [("+00:00", Some(0)), ("+02:00", Some(120)), ("-00:30", Some(-30)), ("Z", Some(0))]
        {
            assert_eq!(parse_zone(text), minutes, "{text}");
        }
        for text in ["", "2", "+2", "Berlin"] {
            assert_eq!(parse_zone(text), None, "{text}");
        }
    }

    #[test]
    fn what_a_setting_cannot_be_is_refused() {
        assert!(check("wait", "60").is_ok() && check("zone", "-05:00").is_ok());
        for (name, value) in [("wait", "soon"), ("wait", "-1"), ("wait", "inf"), ("zone", "x"), ("actor", "")]
        {
            assert!(check(name, value).is_err(), "{name} {value}");
        }
    }
}

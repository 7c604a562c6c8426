//! From text to vectors: by whatever makes them. Nothing here knows meaning.
//!
//! An [`Embedder`] is a plug: a function, a [program](CommandEmbedder), or the one that is built in, [`HashNgram`], which
//! compares letters and says so by its name.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};
use std::thread;

/// Makes vectors of texts. Equal texts give equal vectors.
pub trait Embedder {
    /// Returns its name, under which its vectors are kept as those of a model.
    fn name(&self) -> &str;

    /// Makes a vector of each text, in their order.
    fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, EmbedError>;
}

/// Why no vectors were made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EmbedError {
    /// A text has nothing that could be compared.
    #[error("there is nothing in text {at} that `{embedder}` could compare")]
    Nothing {
        /// The embedder.
        embedder: String,
        /// Which text, from zero.
        at: usize,
    },
    /// The program could not be run, or went wrong.
    #[error("the embedder `{program}` {what}")]
    Program {
        /// Its command.
        program: String,
        /// What it did.
        what: String,
    },
    /// The program could not be run, or spoken to.
    #[error("the embedder `{program}` cannot be run")]
    Io {
        /// Its command.
        program: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// Letters by three: texts are near that are spelled alike. It knows letters, not meaning.
///
/// `hash-ngram/1`: every run of letters and digits in lower case, with a space on both sides, is cut into all runs of three
/// characters. The first 8 bytes of the BLAKE3 hash of a run's UTF-8 are a number, little-endian: its rest by 256 is the place
/// in the vector, bit 63 the sign. A place holds the sum of the signed square roots of how often its runs are there.
#[derive(Clone, Copy, Debug, Default)]
pub struct HashNgram;

impl HashNgram {
    /// Its name, and that of its model.
    pub const NAME: &'static str = "hash-ngram/1";

    /// How many numbers its vectors have.
    pub const DIM: u32 = 256;

    /// Makes the vector of a text; `None` if no letter or digit is in it.
    pub fn vector(text: &str) -> Option<Vec<f32>> {
        let mut counts: std::collections::BTreeMap<String, u16> = std::collections::BTreeMap::new();
        for word in text.to_lowercase().split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty())
        {
            let padded: Vec<char> = format!(" {word} ").chars().collect();
            for run in padded.windows(3) {
                let count = counts.entry(run.iter().collect()).or_default();
                *count = count.saturating_add(1);
            }
        }
        let mut vector = vec![0.0_f32; Self::DIM as usize];
        for (run, count) in &counts {
            let hash = blake3::hash(run.as_bytes());
            let (first, _) = hash.as_bytes().split_first_chunk::<8>().expect("a hash has 32 bytes");
            let number = u64::from_le_bytes(*first);
            let size = f32::from(*count).sqrt();
            vector[usize::from(first[0])] += if number >> 63 == 0 { size } else { -size };
        }
        vector.iter().any(|number| *number != 0.0).then_some(vector)
    }
}

impl Embedder for HashNgram {
    fn name(&self) -> &str {
        HashNgram::NAME
    }

    fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, EmbedError> {
        let nothing = |at| EmbedError::Nothing { embedder: HashNgram::NAME.to_owned(), at };
        texts
            .iter()
            .enumerate()
            .map(|(at, text)| HashNgram::vector(text).ok_or_else(|| nothing(at)))
            .collect()
    }
}

/// A program that makes vectors. It reads lines of JSON, `{"text":"..."}`, and writes for each, in their order, a line
/// `{"vector":[...]}`; at the end of what it reads it ends well.
#[derive(Clone, Debug)]
pub struct CommandEmbedder {
    name: String,
    command: String,
}

/// Longest line that a program may write.
const LINE_BYTES_MAX: u64 = 16 << 20;

#[derive(serde::Deserialize)]
struct Answer {
    vector: Vec<f32>,
}

impl CommandEmbedder {
    /// Takes a name for the model, and a command: a program and what it is given, with spaces in between. No shell reads it.
    pub fn new(name: &str, command: &str) -> CommandEmbedder {
        CommandEmbedder { name: name.to_owned(), command: command.to_owned() }
    }

    fn wrong(&self, what: impl Into<String>) -> EmbedError {
        EmbedError::Program { program: self.command.clone(), what: what.into() }
    }

    fn io(&self, source: std::io::Error) -> EmbedError {
        EmbedError::Io { program: self.command.clone(), source }
    }

    fn answers(&self, out: impl Read, count: usize) -> Result<Vec<Vec<f32>>, EmbedError> {
        let mut out = BufReader::new(out);
        let mut vectors = Vec::new();
        for at in 0..count {
            let mut line = String::new();
            let read =
                out.by_ref().take(LINE_BYTES_MAX).read_line(&mut line).map_err(|error| self.io(error))?;
            if read == 0 {
                return Err(self.wrong(format!("gave {at} vectors for {count} texts")));
            }
            let answer: Answer = serde_json::from_str(&line)
                .map_err(|error| self.wrong(format!("gave no vector in line {}: {error}", at + 1)))?;
            vectors.push(answer.vector);
        }
        Ok(vectors)
    }
}

impl Embedder for CommandEmbedder {
    fn name(&self) -> &str {
        &self.name
    }

    fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, EmbedError> {
        let mut words = self.command.split_whitespace();
        let program = words.next().ok_or_else(|| self.wrong("has no command"))?;
        let mut child = Command::new(program)
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| self.io(error))?;
        let input: String =
            texts.iter().map(|text| serde_json::json!({ "text": text }).to_string() + "\n").collect();
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        // Written beside reading: a program may answer before it has read all.
        let writer =
            thread::spawn(move || stdin.map_or(Ok(()), |mut stdin| stdin.write_all(input.as_bytes())));
        let vectors = stdout.map_or_else(|| Ok(Vec::new()), |stdout| self.answers(stdout, texts.len()));
        if vectors.is_err() {
            let _ended = child.kill(); // it may have ended by itself
        }
        let status = child.wait().map_err(|error| self.io(error))?;
        // That a program did not read all shows in its answers.
        let _written = writer.join();
        let vectors = vectors?;
        if status.success() { Ok(vectors) } else { Err(self.wrong(format!("ended with {status}"))) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: &str, b: &str) -> f32 {
        let (a, b) = (HashNgram::vector(a).unwrap(), HashNgram::vector(b).unwrap());
        crate::kernel::dot(&a, &b) / (crate::kernel::dot(&a, &a) * crate::kernel::dot(&b, &b)).sqrt()
    }

    #[test]
    fn what_is_spelled_alike_is_near_and_case_and_signs_do_not_count() {
        assert!((near("Composes MUSIC!", "composes, music") - 1.0).abs() < 1e-6);
        assert!(
            near("elaborate pieces of music", "composes music")
                > near("elaborate pieces of music", "weaves algebra")
        );
        assert_eq!(HashNgram::vector(" -- "), None);
        assert!(matches!(HashNgram.embed(&["a", "!"]), Err(EmbedError::Nothing { at: 1, .. })));
    }

    #[test]
    fn the_vectors_of_hash_ngram_1_are_frozen() {
        let vector = HashNgram::vector("Ada, Ada: the Engine ÄÖ 42").unwrap();
        let bytes: Vec<u8> = vector.iter().flat_map(|number| number.to_le_bytes()).collect();
        assert_eq!(blake3::hash(&bytes).to_hex()[..16], *"11aa596d15b87487");
    }

    #[cfg(unix)]
    #[test]
    fn a_program_makes_vectors_and_what_it_does_wrong_is_said() {
        let folder = std::env::temp_dir().join(format!("mnem-embed-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let run = |script: &str| {
            let path = folder.join("embed.sh");
            std::fs::write(&path, script).unwrap();
            CommandEmbedder::new("mine", &format!("sh {}", path.display())).embed(&["one", "two \"2\""])
        };
        let good = run("while read -r line; do echo \"{\\\"vector\\\":[${#line}, 1]}\"; done");
        assert_eq!(good.unwrap(), [[14.0, 1.0], [20.0, 1.0]]);
        let why = |script: &str| run(script).unwrap_err().to_string();
        assert!(why("echo '{\"vector\":[1]}'").ends_with("gave 1 vectors for 2 texts"));
        assert!(why("echo hello").contains("gave no vector in line 1"));
        assert!(why("echo '{\"vector\":[1]}'; echo '{\"vector\":[1]}'; exit 3").contains("ended with"));
        assert!(CommandEmbedder::new("mine", "/nowhere/at-all").embed(&[]).is_err());
        std::fs::remove_dir_all(&folder).unwrap();
    }
}

//! Where a problem is, what it is and which layer it came from; and all problems of one load together.
//!
//! Invariant: no message holds a string that was found where a secret may stand. Messages name what was
//! expected and the *type* of what was found; a found string is repeated only where the key takes one of a
//! few words.

use std::collections::BTreeMap;
use std::fmt;

/// Everything that is wrong with a configuration, sorted by path. Displayed one problem a line.
#[derive(Debug, PartialEq, Eq)]
pub struct ConfigErrors(Vec<ConfigError>);

/// One problem.
#[derive(Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The key, such as `stream[0].auth.bearer`, or the file that cannot be read.
    pub path: String,
    /// What is wrong and what would be right.
    pub message: String,
    /// The variable or flag that the value came from; `None` for the file and the defaults.
    pub origin: Option<String>,
}

/// The way from the top of the configuration to a value.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Path(Vec<Segment>);

/// One step of a [`Path`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Segment {
    /// A key of a table.
    Key(String),
    /// An element of a list.
    Index(usize),
}

/// Collects the problems of one load.
#[derive(Default)]
pub(super) struct Errors {
    /// Paths as in the file.
    found: Vec<(Path, String)>,
    /// For each list, sorted: the elements that were taken out. Those after them keep the index they have in
    /// the file.
    gone: BTreeMap<Path, Vec<usize>>,
}

impl ConfigErrors {
    /// A single problem, of what is not judged here, such as an unreadable file.
    pub(crate) fn single(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self(vec![ConfigError { path: path.into(), message: message.into(), origin: None }])
    }

    /// Variables that are no text, of which nothing can be taken.
    pub(super) fn not_text(names: &[String]) -> Self {
        let error = |name: &String| ConfigError {
            path: name.clone(),
            message: "name and value of this environment variable have to be valid UTF-8".to_owned(),
            origin: None,
        };
        Self(names.iter().map(error).collect())
    }

    /// The problems, sorted by path.
    pub fn iter(&self) -> impl Iterator<Item = &ConfigError> {
        self.0.iter()
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, error) in self.0.iter().enumerate() {
            if n > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)?;
        match &self.origin {
            Some(origin) => write!(f, " (from {origin})"),
            None => Ok(()),
        }
    }
}

impl Path {
    /// The top-level key of this name.
    pub(super) fn top(key: &str) -> Self {
        Self::default().key(key)
    }

    /// The key below this table.
    pub(super) fn key(&self, key: &str) -> Self {
        self.then(Segment::Key(key.to_owned()))
    }

    /// The element of this list.
    pub(super) fn index(&self, index: usize) -> Self {
        self.then(Segment::Index(index))
    }

    /// What this segment leads to.
    pub(super) fn then(&self, segment: Segment) -> Self {
        let mut path = self.clone();
        path.0.push(segment);
        path
    }

    /// The steps from the top.
    pub(super) fn segments(&self) -> &[Segment] {
        &self.0
    }

    fn is_at_or_below(&self, other: &Self) -> bool {
        self.0.starts_with(&other.0)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Index(index) => write!(f, "[{index}]")?,
                Segment::Key(key) => {
                    if n > 0 {
                        f.write_str(".")?;
                    }
                    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
                    if !key.is_empty() && key.chars().all(bare) {
                        f.write_str(key)?;
                    } else {
                        write!(f, "{key:?}")?;
                    }
                }
            }
        }
        Ok(())
    }
}

impl Errors {
    /// Adds a problem. What was already found at this path, or below it, is the cause: then nothing is added.
    pub(super) fn add(&mut self, path: &Path, message: impl Into<String>) {
        let path = self.in_the_file(path);
        if !self.found.iter().any(|(known, _)| known.is_at_or_below(&path)) {
            self.found.push((path, message.into()));
        }
    }

    /// Adds a problem if `wrong`.
    pub(super) fn add_if(&mut self, wrong: bool, path: &Path, message: impl Into<String>) {
        if wrong {
            self.add(path, message);
        }
    }

    /// Notes that the list element at `path` was taken out, so that the ones after it move up.
    pub(super) fn forget_element(&mut self, path: &Path) {
        let path = self.in_the_file(path);
        if let Some((Segment::Index(index), list)) = path.0.split_last() {
            let gone = self.gone.entry(Path(list.to_vec())).or_default();
            gone.push(*index);
            gone.sort_unstable();
        }
    }

    fn in_the_file(&self, path: &Path) -> Path {
        let mut original = Path::default();
        for segment in &path.0 {
            let segment = match (segment, self.gone.get(&original)) {
                (Segment::Index(index), Some(gone)) => Segment::Index(
                    gone.iter().fold(*index, |index, gone| index + usize::from(*gone <= index)),
                ),
                _ => segment.clone(),
            };
            original.0.push(segment);
        }
        original
    }

    /// All problems, or `value` where there are none. `origin` says which variable or flag set a path.
    pub(super) fn finish<T>(
        mut self,
        value: Option<T>,
        origin: impl Fn(&Path) -> Option<String>,
    ) -> Result<T, ConfigErrors> {
        match value {
            Some(value) if self.found.is_empty() => Ok(value),
            _ => {
                self.found.sort();
                let error = |(path, message): (Path, String)| {
                    let origin = origin(&path);
                    ConfigError { path: path.to_string(), message, origin }
                };
                Err(ConfigErrors(self.found.into_iter().map(error).collect()))
            }
        }
    }
}

//! Paths of members in JSON objects, and several of them as a tree in which one look tells whether a name is wanted.
//!
//! A path is member names with dots between them. A name that holds a dot or a quote is written as a JSON string:
//! `body."first.name"`.

/// The beginning of names that may be matched in any ASCII case.
const EVAR: &str = "evar";

/// Why a path cannot be used.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("field path {0:?} has an empty or unclosed part")]
pub struct PathError(pub String);

/// The names of a path.
pub(crate) fn parse(path: &str) -> Result<Vec<String>, PathError> {
    let wrong = || PathError(path.to_owned());
    let (mut names, mut rest) = (Vec::new(), path);
    loop {
        let (name, behind) = if rest.starts_with('"') {
            let mut quoted = serde_json::Deserializer::from_str(rest).into_iter::<String>();
            let name = quoted.next().and_then(Result::ok).ok_or_else(wrong)?;
            (name, &rest[quoted.byte_offset()..])
        } else {
            let end = rest.find('.').unwrap_or(rest.len());
            let (name, behind) = rest.split_at(end);
            if name.is_empty() || name.contains('"') {
                return Err(wrong());
            }
            (name.to_owned(), behind)
        };
        names.push(name);
        if behind.is_empty() {
            return Ok(names);
        }
        rest = behind.strip_prefix('.').ok_or_else(wrong)?;
    }
}

/// How names are compared.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Spelling {
    /// Whether names that begin with `evar` are the same in any ASCII case: Adobe writes `eVar5` and `evar5`.
    pub ignore_evar_case: bool,
}

impl Spelling {
    /// The names of a path, those that are the same in any case in one of them.
    pub(crate) fn names(self, path: &str) -> Result<Vec<String>, PathError> {
        let same = |name: String| if self.any_case(&name) { name.to_ascii_lowercase() } else { name };
        Ok(parse(path)?.into_iter().map(same).collect())
    }

    /// Whether what stands at `outer` holds what stands at `inner`, or is it.
    pub(crate) fn covers(self, outer: &str, inner: &str) -> bool {
        match (self.names(outer), self.names(inner)) {
            (Ok(outer), Ok(inner)) => inner.starts_with(&outer),
            _ => false,
        }
    }

    fn any_case(self, name: &str) -> bool {
        let start = name.as_bytes().get(..EVAR.len());
        self.ignore_evar_case && start.is_some_and(|start| start.eq_ignore_ascii_case(EVAR.as_bytes()))
    }
}

/// A member name, and what is wanted of its value.
#[derive(Debug, Default)]
pub(crate) struct Node<T> {
    name: Vec<u8>,
    /// Whether the name is the same in any ASCII case.
    any_case: bool,
    /// What is wanted of the value itself.
    pub(crate) wanted: T,
    /// What is wanted inside it when it is an object.
    children: Vec<Node<T>>,
    /// A bit for each kind of name among them, see [`kind`]: most members are unwanted, and one look tells.
    kinds: u64,
}

impl<T: Default> Node<T> {
    /// The node of a member of this name, made if there is none.
    pub(crate) fn child_mut(&mut self, name: &str, spelling: Spelling) -> &mut Self {
        let place = self.children.iter().position(|child| child.name == name.as_bytes());
        self.kinds |= kind(name.as_bytes());
        let place = place.unwrap_or_else(|| {
            let (name, any_case) = (name.as_bytes().to_vec(), spelling.any_case(name));
            self.children.push(Self { name, any_case, ..Self::default() });
            self.children.len() - 1
        });
        &mut self.children[place]
    }
}

impl<T> Node<T> {
    /// The node of a member by the bytes of its name: one that is not UTF-8 is merely unknown.
    pub(crate) fn child(&self, name: &[u8]) -> Option<&Self> {
        if self.kinds & kind(name) == 0 {
            return None;
        }
        self.children.iter().find(|child| child.is_called(name))
    }

    fn is_called(&self, name: &[u8]) -> bool {
        if self.any_case { self.name.eq_ignore_ascii_case(name) } else { self.name == name }
    }
}

/// One of 64 kinds of names, by length and first letter in whatever case.
fn kind(name: &[u8]) -> u64 {
    let first = name.first().map_or(0, |first| usize::from(first & 0x1f));
    1 << ((name.len() + 13 * first) % 64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_between_dots_and_in_quotes() {
        for (path, names) in [
            ("a", &["a"][..]),
            ("device.named user.ä", &["device", "named user", "ä"]),
            (r#""a.b".c"#, &["a.b", "c"]),
            (r#"a."".b"#, &["a", "", "b"]),
            (r#"a."x\"\u0041y"."z""#, &["a", "x\"Ay", "z"]),
        ] {
            assert_eq!(parse(path).unwrap(), names, "{path}");
        }
        for path in ["", ".", "a.", ".a", "a..b", "\"a", "\"a\"b", "a\"b", "a.\"b\".", "\"\\q\""] {
            assert_eq!(parse(path), Err(PathError(path.to_owned())), "{path}");
        }
    }

    #[test]
    fn a_path_covers_itself_and_what_is_below() {
        let (adobe, exact) = (Spelling { ignore_evar_case: true }, Spelling::default());
        for (outer, inner, spelling, covers) in [
            ("a", "a", exact, true),
            ("a", "a.b", exact, true),
            ("a.b", "a", exact, false),
            ("a", "ab", exact, false),
            ("a.b", "\"a.b\"", exact, false),
            ("\"a\"", "a.b", exact, true),
            ("evars.evars.eVar5", "evars.evars.evar5", exact, false),
            ("evars.evars.eVar5", "evars.evars.evar5", adobe, true),
            ("Evars", "evars.evars.evar5", adobe, true),
            ("props.Prop1", "props.prop1", adobe, false),
        ] {
            assert_eq!(spelling.covers(outer, inner), covers, "{outer} {inner}");
        }
    }
}

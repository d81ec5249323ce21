//! Azure resource ids: compared without regard to case, shown as they were written.

use std::fmt;
use std::hash::{Hash, Hasher};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The longest id that is accepted, in bytes. ARM's own limit on a URL is far below.
const LONGEST: usize = 2048;

/// A well-formed ARM resource id such as
/// `/subscriptions/{sub}/resourceGroups/{rg}/providers/Microsoft.Sql/servers/{server}/databases/{db}`.
///
/// Two ids that differ only in case are equal (Azure lower-cases them freely in alerts).
#[derive(Clone)]
pub struct ResourceId {
    text: String,
    key: String,
}

/// Why a text is no resource id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidResourceId {
    /// Does not begin with `/subscriptions/{id}`, or has an odd number of parts.
    #[error("not an Azure resource id")]
    Shape,
    /// Holds a character that could change the meaning of a URL.
    #[error("the resource id holds a character that Azure does not allow in one")]
    Character,
    /// Over 2048 bytes.
    #[error("the resource id is longer than 2048 bytes")]
    TooLong,
}

impl ResourceId {
    /// Reads an id. A trailing slash is dropped.
    ///
    /// # Errors
    /// [`InvalidResourceId`] where the text could not be put into an ARM URL as it is.
    pub fn parse(text: &str) -> Result<Self, InvalidResourceId> {
        if text.len() > LONGEST {
            return Err(InvalidResourceId::TooLong);
        }
        let text = text.trim().trim_end_matches('/');
        let key = text.to_lowercase();
        let mut parts = text.split('/');
        let count = 1 + slashes(text).count();
        if count < 3
            || parts.next() != Some("")
            || !text[1..]
                .get(.."subscriptions/".len())
                .is_some_and(|start| start.eq_ignore_ascii_case("subscriptions/"))
            || count.is_multiple_of(2) && find(&key, "/providers/").is_none()
        {
            return Err(InvalidResourceId::Shape);
        }
        for part in parts {
            if part.is_empty() || part == "." || part == ".." {
                return Err(InvalidResourceId::Shape);
            }
            if has_foreign(part) {
                return Err(InvalidResourceId::Character);
            }
        }
        Ok(Self { text: text.to_owned(), key })
    }

    /// The id as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The id in lower case: what it is compared by, and stored under.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    fn after(&self, marker: &str) -> Option<&str> {
        let at = find(&self.key, marker)? + marker.len();
        // Lower-casing may change the length of non-ASCII text; then the original is not sliced.
        let source = if self.key.len() == self.text.len() { &self.text } else { &self.key };
        source.get(at..)?.split('/').next().filter(|part| !part.is_empty())
    }

    /// The subscription's id.
    #[must_use]
    pub fn subscription(&self) -> &str {
        self.after("/subscriptions/").unwrap_or_default()
    }

    /// The resource group's name, if the id is below one.
    #[must_use]
    pub fn resource_group(&self) -> Option<&str> {
        self.after("/resourcegroups/")
    }

    /// The last part: the resource's own name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.text.rsplit('/').next().unwrap_or_default()
    }

    /// The full type in lower case, of the last provider in the id, such as `microsoft.sql/servers/databases`.
    #[must_use]
    pub fn resource_type(&self) -> String {
        const MARKER: &str = "/providers/";
        let Some(at) = slashes(&self.key).rfind(|at| self.key[*at..].starts_with(MARKER)) else { return String::new() };
        let mut parts = self.key[at + MARKER.len()..].split('/');
        let mut kind = parts.next().unwrap_or_default().to_owned();
        for part in parts.step_by(2) {
            kind.push('/');
            kind.push_str(part);
        }
        kind
    }

    /// The id of the ancestor (or itself) that ends after `marker/{name}`, for example `ancestor("/servers/")`.
    #[must_use]
    pub fn ancestor(&self, marker: &str) -> Option<Self> {
        let at = find(&self.key, marker)? + marker.len();
        let end = self.key[at..].find('/').map_or(self.key.len(), |n| at + n);
        if end == at || self.key.len() != self.text.len() {
            return (end != at).then(|| Self { text: self.key[..end].to_owned(), key: self.key[..end].to_owned() });
        }
        Some(Self { text: self.text[..end].to_owned(), key: self.key[..end].to_owned() })
    }

    /// The logical SQL server this id is, or is below.
    #[must_use]
    pub fn sql_server(&self) -> Option<Self> {
        self.ancestor("/providers/microsoft.sql/servers/")
    }

    /// The managed instance this id is, or is below.
    #[must_use]
    pub fn managed_instance(&self) -> Option<Self> {
        self.ancestor("/providers/microsoft.sql/managedinstances/")
    }

    /// The Synapse workspace this id is, or is below.
    #[must_use]
    pub fn synapse_workspace(&self) -> Option<Self> {
        self.ancestor("/providers/microsoft.synapse/workspaces/")
    }

    /// What holds the databases: the logical server, managed instance or Synapse workspace that this id is, or is below.
    #[must_use]
    pub fn database_host(&self) -> Option<Self> {
        self.sql_server().or_else(|| self.managed_instance()).or_else(|| self.synapse_workspace())
    }

    /// The name of the SQL database or dedicated SQL pool this id is, or is below.
    #[must_use]
    pub fn sql_database(&self) -> Option<&str> {
        if self.synapse_workspace().is_some() {
            return self.after("/sqlpools/");
        }
        self.sql_server().or_else(|| self.managed_instance())?;
        self.after("/databases/")
    }

    /// The key vault this id is, or is below (access policies, keys, role assignments on it).
    #[must_use]
    pub fn key_vault(&self) -> Option<Self> {
        self.ancestor("/providers/microsoft.keyvault/vaults/")
    }

    /// Whether `other` is this resource or lies below it.
    #[must_use]
    pub fn contains(&self, other: &Self) -> bool {
        other.key == self.key || other.key.strip_prefix(&self.key).is_some_and(|rest| rest.starts_with('/'))
    }

    /// The id of a child: `child("databases", "orders")`. Names come from Azure's answers: one with a slash in it would lead
    /// elsewhere.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn child(&self, kind: &str, name: &str) -> Result<Self, InvalidResourceId> {
        if [kind, name].iter().any(|part| part.is_empty() || part.contains('/') || part.trim() != *part) {
            return Err(InvalidResourceId::Shape);
        }
        Self::parse(&format!("{}/{kind}/{name}", self.text))
    }
}

/// Where `marker`, which begins with a slash, is. Of every alert ids are looked through for a dozen markers, and to prepare a
/// search for a text takes longer than to look behind each slash.
fn find(text: &str, marker: &str) -> Option<usize> {
    slashes(text).find(|at| text[*at..].starts_with(marker))
}

fn slashes(text: &str) -> impl DoubleEndedIterator<Item = usize> {
    memchr::memchr_iter(b'/', text.as_bytes())
}

/// Whether a part holds what no part of an id has. Nearly all are letters, digits, `.`, `-` and `_`.
fn has_foreign(part: &str) -> bool {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    !part.as_bytes().iter().all(plain) && part.chars().any(is_foreign)
}

fn is_foreign(c: char) -> bool {
    !c.is_ascii_alphanumeric()
        && (c.is_control()
            || c.is_whitespace()
            || matches!(
                c,
                '?' | '#'
                    | '%'
                    | '&'
                    | '<'
                    | '>'
                    | '"'
                    | '\''
                    | '\\'
                    | '{'
                    | '}'
                    | '|'
                    | '^'
                    | '`'
                    | '*'
                    | ':'
                    | ';'
                    | ','
                    | '='
                    | '+'
                    | '$'
                    | '@'
                    | '!'
            ))
}

impl PartialEq for ResourceId {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}
impl Eq for ResourceId {}
impl Hash for ResourceId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key.hash(state);
    }
}
impl PartialOrd for ResourceId {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for ResourceId {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key.cmp(&other.key)
    }
}
impl fmt::Debug for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.text)
    }
}
impl fmt::Display for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
impl Serialize for ResourceId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}
impl<'de> Deserialize<'de> for ResourceId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATABASE: &str =
        "/subscriptions/s1/resourceGroups/RG-Data/providers/Microsoft.Sql/servers/Contoso/databases/Orders";

    fn id(text: &str) -> ResourceId {
        ResourceId::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn compares_without_case_and_shows_as_written() {
        assert_eq!(id(DATABASE), id(&DATABASE.to_uppercase()));
        assert_eq!(id(DATABASE).to_string(), DATABASE);
    }

    #[test]
    fn names_its_parts() {
        let database = id(DATABASE);
        assert_eq!(database.subscription(), "s1");
        assert_eq!(database.resource_group(), Some("RG-Data"));
        assert_eq!(database.sql_server().map(|s| s.name().to_owned()).as_deref(), Some("Contoso"));
        assert_eq!(database.sql_database(), Some("Orders"));
        assert_eq!(database.resource_type(), "microsoft.sql/servers/databases");
        assert!(database.sql_server().is_some_and(|server| server.contains(&database)));
        assert_eq!(database.key_vault(), None);
    }

    #[test]
    fn a_name_that_is_a_prefix_of_another_does_not_contain_it() {
        let short = id("/subscriptions/s1/resourceGroups/rg/providers/Microsoft.Sql/servers/sql");
        let long = id("/subscriptions/s1/resourceGroups/rg/providers/Microsoft.Sql/servers/sql2");
        assert!(!short.contains(&long));
    }

    #[test]
    fn a_child_is_one_part_below() {
        let server = id("/subscriptions/s1/resourceGroups/rg/providers/Microsoft.Sql/servers/sql");
        assert_eq!(server.child("databases", "orders").unwrap().sql_database(), Some("orders"));
        for name in
            ["", ".", "..", "orders/", "/orders", "a/b", "a/providers/Microsoft.Authorization", "a/b/c", " a", "a?b"]
        {
            assert!(server.child("databases", name).is_err(), "{name:?} was accepted");
        }
    }

    #[test]
    fn refuses_what_could_change_a_url() {
        for text in [
            "",
            "/",
            "subscriptions/s1",
            "/subscriptions",
            "/subscriptions/s1/../x/y",
            "/subscriptions/s1?x=1",
            "/subscriptions/s1/resourceGroups/a%2fb",
            "/subscriptions//resourceGroups/x",
            "/subscriptions/s 1",
        ] {
            assert!(ResourceId::parse(text).is_err(), "{text:?} was accepted");
        }
        assert!(ResourceId::parse(&format!("/subscriptions/{}", "x".repeat(3000))).is_err());
    }
}

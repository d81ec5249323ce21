//! The last net under the log: whatever a library or we ourselves write into a line, no key, token or signature leaves in it.
//!
//! Two ways, since neither is enough alone: the values of this process's own secrets, wherever they stand; and the places where
//! secrets stand in addresses, headers, connection strings and JSON, whatever they are.

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use regex::{Captures, Regex};

/// What stands for a secret.
pub(crate) const GONE: &str = "[redacted]";

/// Variables whose whole value is secret, by a part of their name.
const SECRET_NAMES: [&str; 13] = [
    "SECRET",
    "TOKEN",
    "PASSWORD",
    "KEY",
    "IDENTITY_HEADER",
    "TEAMS_URL",
    "EVENTS_URL",
    "CREDENTIALS",
    "OTLP_HEADERS",
    "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
    "OTEL_EXPORTER_OTLP_METRICS_HEADERS",
    "ACCESSKEY",
    "SASURL",
];
/// Variables that look like these by their name and are no secrets.
const NO_SECRETS: [&str; 3] = ["KEYMEND_", "_FILE", "KEYVAULT"];
/// A value shorter than this is not looked for: it would be found everywhere.
const SHORTEST: usize = 8;

/// The places where secrets stand. The group `keep` is kept; the rest of the match is the secret.
static PLACES: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    // A value in an address, a form or a connection string ends at these; in JSON, at the quote or its backslash.
    const VALUE: &str = r#"[^\s&"'\\;,<>)}\]]+"#;
    let places = [
        // Keys and signatures in addresses.
        format!(r"(?i)(?P<keep>(?:[?&]|\\u0026|%3f|%26|&amp;)(?:code|sig|sv_sig|clientid_code|key|token|access_token|subscription-key)(?:=|%3d)){VALUE}"),
        format!(r"(?i)(?P<keep>\bsig(?:=|%3d)){VALUE}"),
        // Connection strings. Base64 ends in `=`, which is part of the value.
        r#"(?i)(?P<keep>\b(?:AccountKey|SharedAccessKey|SharedAccessSignature|InstrumentationKey|Password|Pwd|client_secret|client_assertion|assertion|refresh_token|access_token|id_token)\s*=\s*)[^\s"'\\;,]+"#.to_owned(),
        // Headers, as they are written by people, by Debug and in JSON (also JSON in JSON).
        r#"(?i)(?P<keep>\b(?:x-functions-key|x-functions-clientid|proxy-authorization|authorization|x-zumo-auth|x-arr-[a-z-]+|x-identity-header|secret|set-cookie|cookie|aeg-sas-key|aeg-sas-token|ocp-apim-subscription-key|x-ms-copy-source-authorization|x-ms-client-principal|x-ms-token-[a-z-]+)(?:\\*["'])?\s*[:=]\s*(?:\[\s*)?(?:\\*["'])?)(?:(?:bearer|basic|sharedkey|sharedkeylite|key)\s+)?[^\s"'\\,;\]}]+"#.to_owned(),
        // The same in JSON by name.
        r#"(?i)(?P<keep>\\*"(?:access_token|refresh_token|id_token|client_secret|client_assertion|connectionstring|accountkey|sharedaccesskey|password)\\*"\s*:\s*\\*")[^"\\]+"#.to_owned(),
        // A function key under its name in the host's payload; error codes are words.
        r#"(?i)(?P<keep>\\*"code\\*"\s*:\s*(?:\[\s*)?\\*")[A-Za-z0-9_+/-]{20,}={1,2}"#.to_owned(),
        // Tokens by their form.
        r"(?i)(?P<keep>\bbearer\s+)[A-Za-z0-9._~+/=-]{6,}".to_owned(),
        r"(?i)(?P<keep>\bsharedkey(?:lite)?\s+)[A-Za-z0-9]+:[A-Za-z0-9+/=]+".to_owned(),
        r"(?P<keep>)\beyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*)?".to_owned(),
        r"(?P<keep>\bwhsec_)[A-Za-z0-9+/=_-]+".to_owned(),
        // Somebody's name and password in an address.
        r#"(?P<keep>://)[^\s/@"'\\]+@"#.to_owned(),
    ];
    // The patterns are fixed; a test compiles them all.
    places.iter().filter_map(|place| Regex::new(place).ok()).collect()
});

/// Takes secrets out of lines.
#[derive(Clone, Default)]
pub(crate) struct Redactor {
    known: Arc<[String]>,
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Redactor(knowing {} values)", self.known.len())
    }
}

impl Redactor {
    /// Knows the secrets in this process's environment.
    pub fn of_this_process() -> Self {
        Self::knowing(std::env::vars_os().filter_map(|(name, value)| {
            let (name, value) = (name.into_string().ok()?, value.into_string().ok()?);
            is_secret(&name).then_some(value)
        }))
    }

    /// Knows these values, each of which may hold several divided by blanks.
    pub fn knowing(values: impl IntoIterator<Item = String>) -> Self {
        let mut known: Vec<String> = Vec::new();
        for value in values {
            for part in value.split_whitespace().filter(|part| part.len() >= SHORTEST) {
                known.push(part.to_owned());
                let quoted = serde_json::to_string(part).unwrap_or_default();
                known.push(quoted.trim_matches('"').to_owned());
                known.push(percent_encoding::utf8_percent_encode(part, percent_encoding::NON_ALPHANUMERIC).to_string());
            }
        }
        // The longest first: one may be the beginning of another.
        known.sort_by(|a, b| b.len().cmp(&a.len()).then(a.cmp(b)));
        known.dedup();
        Self { known: known.into() }
    }

    /// The line without secrets.
    pub fn redact<'a>(&self, line: &'a str) -> Cow<'a, str> {
        let mut line = Cow::Borrowed(line);
        for secret in self.known.iter() {
            if line.contains(secret.as_str()) {
                line = Cow::Owned(line.replace(secret.as_str(), GONE));
            }
        }
        for place in PLACES.iter() {
            let without = |found: &Captures<'_>| {
                let keep = found.name("keep").map_or("", |keep| keep.as_str());
                let end = if found[0].ends_with('@') { "@" } else { "" };
                format!("{keep}{GONE}{end}")
            };
            if place.is_match(&line) {
                line = Cow::Owned(place.replace_all(&line, without).into_owned());
            }
        }
        line
    }
}

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    // Our own names begin with letters that would match.
    let bare = NO_SECRETS.iter().fold(name, |name, part| name.replace(part, ""));
    SECRET_NAMES.iter().any(|part| bare.contains(part))
}

//! The last net under the log: whatever a library or we ourselves write into a line, no key, token or signature leaves in it.
//!
//! Two ways, since neither is enough alone: the values of this process's own secrets, wherever they stand; and the places where
//! secrets stand in addresses, headers, connection strings and JSON, whatever they are.

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use regex::{Captures, Regex, RegexSet};

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
        r"(?i)(?P<keep>\bsharedkey(?:lite)?\s+)[A-Za-z0-9]+:[A-Za-z0-9+/=_-]+".to_owned(),
        r"(?P<keep>)\beyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_+/=-]{4,}(?:\.[A-Za-z0-9_+/=-]*)?".to_owned(),
        r"(?P<keep>\bwhsec_)[A-Za-z0-9+/=_-]+".to_owned(),
        // Somebody's name and password in an address.
        r#"(?P<keep>://)(?:[^\s/@"'\\]+|[^\s/@:"'\\]+:[^\s@"'\\]+)@"#.to_owned(),
    ];
    // The patterns are fixed; a test compiles them all.
    places.iter().filter_map(|place| Regex::new(place).ok()).collect()
});

/// Which places are in a line, found in one go: most lines have none.
static ANY: LazyLock<Option<RegexSet>> = LazyLock::new(|| RegexSet::new(PLACES.iter().map(Regex::as_str)).ok());

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
        Self::knowing(std::env::vars_os().flat_map(|(name, value)| {
            let (name, value) = (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned());
            if is_secret(&name) { vec![value] } else { parts(&value) }
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
        if ANY.as_ref().is_some_and(|any| !any.is_match(&line)) {
            return line;
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

/// The secret parts of a connection string.
fn parts(value: &str) -> Vec<String> {
    let part = |part: &str| {
        let (name, value) = part.split_once('=')?;
        ["accountkey", "sharedaccesskey", "password"]
            .contains(&name.trim().to_lowercase().as_str())
            .then(|| value.to_owned())
    };
    value.split(';').filter_map(part).collect()
}

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    // Our own names begin with letters that would match.
    let bare = NO_SECRETS.iter().fold(name, |name, part| name.replace(part, ""));
    SECRET_NAMES.iter().any(|part| bare.contains(part))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    /// Every place in which a secret was seen, or could be; `{}` is the secret.
    const LINES: [&str; 32] = [
        "POST https://app.azurewebsites.net/api/alerts?code={}",
        "POST /api/alerts?x=1&code={}&clientId=default",
        r#"uri="/api/alerts?a=1\u0026code={}""#,
        "https%3A%2F%2Fapp%2Fapi%3Fcode%3D{}",
        "x-functions-key: {}",
        r#"{"x-functions-key":["{}"],"Host":["h"]}"#,
        r#"{"line":"{\"x-functions-key\":[\"{}\"]}"}"#,
        r#""x-functions-key": "{}""#,
        "Authorization: Bearer {}",
        "authorization=Bearer {}, accept=*/*",
        r#"{"authorization":"Bearer {}"}"#,
        "Authorization: SharedKey devstoreaccount1:{}",
        "sent SharedKey devstoreaccount1:{} to the queue",
        "got Bearer {} from IMDS",
        "x-identity-header: {}",
        "aeg-sas-key: {}",
        "x-arr-ssl: {}",
        "X-MS-TOKEN-AAD-ACCESS-TOKEN: {}",
        "Cookie: ARRAffinity={}",
        "https://acct.queue.core.windows.net/q?sv=2024-01-01&sp=rw&sig={}",
        "https://acct.blob.core.windows.net/c?sig={}&se=2026",
        "SharedAccessSignature=sv=2024&sig={}",
        "AccountName=a;AccountKey={};EndpointSuffix=core.windows.net",
        "Endpoint=sb://x/;SharedAccessKeyName=k;SharedAccessKey={}",
        "Server=db;User=sa;Password={};Encrypt=true",
        "client_id=1&client_secret={}&grant_type=client_credentials",
        r#"{"access_token":"{}","expires_in":3599}"#,
        r#"{"body":"{\"access_token\":\"{}\"}"}"#,
        "signed with whsec_{}",
        "token eyJhbGciOiJSUzI1NiJ9.{}.c2lnbmF0dXJl",
        "https://user:{}@hooks.example/x",
        "Proxy-Authorization: Basic {}",
    ];

    #[test]
    fn every_pattern_compiles() {
        assert_eq!(PLACES.len(), 11);
    }

    #[test]
    fn what_people_need_to_read_stays() {
        let redactor = Redactor::knowing([]);
        for line in [
            "AuthorizationFailed: the client does not have authorization to perform action 'Microsoft.KeyVault/vaults/write'",
            r#"{"error":{"code":"AzureKeyVaultMissingPermissions","message":"grant get, wrapKey and unwrapKey"}}"#,
            "AuthorizationPermissionMismatch (403) at https://acct.blob.core.windows.net/keymend/incident/km-1?comp=lease",
            "job pass:km-20261124-0207-7f3k failed; see /subscriptions/s/resourceGroups/g/providers/Microsoft.KeyVault/vaults/kv",
            "the key tde-key of vault contoso-kv is disabled",
            "KEYMEND_WEBHOOK_SECRET is not set",
            "the secret comes from https://kv.vault.azure.net/secrets/hook",
        ] {
            assert_eq!(redactor.redact(line), line);
        }
    }

    #[test]
    fn own_secrets_are_known_by_their_variables() {
        for name in [
            "KEYMEND_WEBHOOK_SECRET",
            "KEYMEND_TEAMS_URL",
            "KEYMEND_EVENTS_URL",
            "IDENTITY_HEADER",
            "KEYMEND_STATIC_TOKEN",
            "MY_API_KEY",
        ] {
            assert!(is_secret(name), "{name}");
        }
        for name in [
            "KEYMEND_PRESET",
            "KEYMEND_STORE",
            "KEYMEND_SUBSCRIPTIONS",
            "PATH",
            "KEYMEND_JOBS_QUEUE",
            "FUNCTIONS_APP_ROOT_PATH",
        ] {
            assert!(!is_secret(name), "{name}");
        }
    }

    #[test]
    fn the_key_of_a_connection_string_is_known_anywhere() {
        let key = "cGxhbnRlZC10b3BzZWNyZXQ=";
        let string = format!("DefaultEndpointsProtocol=https;AccountName=a;AccountKey={key};EndpointSuffix=x");
        assert_eq!(parts(&string), [key]);
        let line = format!("a library wrote {key} just so");
        assert!(!Redactor::knowing(parts(&string)).redact(&line).contains("cGxh"));
    }

    proptest! {
        #[test]
        fn no_place_keeps_its_secret(secret in "[A-Za-z0-9_-]{16,48}", before in "[ -~]{0,20}") {
            let redactor = Redactor::knowing([]);
            for line in LINES {
                let line = format!("{before} {}", line.replace("{}", &secret));
                let redacted = redactor.redact(&line);
                prop_assert!(!redacted.contains(&secret), "{line}\n{redacted}");
            }
        }

        #[test]
        fn what_is_known_is_found_anywhere(secret in "[!-~]{8,40}", before in "[a-z ]{0,20}", after in "[a-z ]{0,20}") {
            let redactor = Redactor::knowing([secret.clone()]);
            let plain = format!("{before}{secret}{after}");
            prop_assert!(!redactor.redact(&plain).contains(&secret));
            let quoted = json!({ "text": plain }).to_string();
            let redacted = redactor.redact(&quoted);
            prop_assert!(!redacted.contains(&secret));
        }

        #[test]
        fn a_line_of_json_stays_one(secret in "[A-Za-z0-9+/]{20,40}={0,2}", place in 0..LINES.len()) {
            let line = json!({ "level": "INFO", "message": LINES[place].replace("{}", &secret), "n": 1 }).to_string();
            let redacted = Redactor::knowing([]).redact(&line).into_owned();
            let read: Value = serde_json::from_str(&redacted).map_err(|why| TestCaseError::fail(format!("{why}: {redacted}")))?;
            prop_assert_eq!(&read["n"], &json!(1));
            prop_assert!(!redacted.contains(secret.trim_end_matches('=')), "{}", redacted);
        }

        #[test]
        fn nothing_makes_it_panic(line in ".{0,200}") {
            let _ = Redactor::knowing(["planted-secret".to_owned()]).redact(&line);
        }
    }
}

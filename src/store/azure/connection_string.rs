//! Connection strings of storage accounts, as `AzureWebJobsStorage` holds them.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use url::{Host, Url};

use super::account::{StorageAccess, StorageAccount};
use crate::azure::Secret;

/// The account that Azurite has from the beginning, and its key, which is no secret (Microsoft, "Connect to Azurite").
const DEVELOPMENT: (&str, &str) =
    ("devstoreaccount1", "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==");

/// Where Azurite listens when nothing else is said.
const DEVELOPMENT_ENDPOINTS: (&str, &str) =
    ("http://127.0.0.1:10000/devstoreaccount1", "http://127.0.0.1:10001/devstoreaccount1");

/// What is wrong with a connection string, without any of its values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidConnectionString(pub String);

impl fmt::Display for InvalidConnectionString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for InvalidConnectionString {}

type Read<T> = Result<T, InvalidConnectionString>;

fn wrong<T>(why: impl Into<String>) -> Read<T> {
    Err(InvalidConnectionString(why.into()))
}

/// Reads a connection string: `NAME=VALUE;NAME=VALUE`, in any order, names in any case (Microsoft, "Configure Azure
/// Storage connection strings").
///
/// # Errors
/// [`InvalidConnectionString`], which names the part that is wrong and never shows a value.
pub fn parse(text: &str) -> Read<StorageAccount> {
    let parts = parts(text)?;
    if parts.get("usedevelopmentstorage").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        return Ok(StorageAccount {
            blob: endpoint("BlobEndpoint", DEVELOPMENT_ENDPOINTS.0)?,
            queue: endpoint("QueueEndpoint", DEVELOPMENT_ENDPOINTS.1)?,
            access: StorageAccess::Key { account: DEVELOPMENT.0.to_owned(), key: Secret::new(DEVELOPMENT.1) },
        });
    }
    let account = parts.get("accountname").copied();
    let blob = service(&parts, account, "BlobEndpoint", "blob")?;
    let queue = service(&parts, account, "QueueEndpoint", "queue")?;
    let access = match (parts.get("accountkey"), parts.get("sharedaccesssignature")) {
        (_, Some(signature)) => sas(signature, &[&blob, &queue])?,
        (Some(key), None) => {
            let Some(account) = account else { return wrong("AccountName is missing") };
            if STANDARD.decode(key).is_err() || key.is_empty() {
                return wrong("AccountKey is not base64, as account keys are");
            }
            StorageAccess::Key { account: account.to_owned(), key: Secret::new(*key) }
        }
        (None, None) => return wrong("neither AccountKey nor SharedAccessSignature is in it"),
    };
    Ok(StorageAccount { blob, queue, access })
}

/// Names in lower case, with their values.
fn parts(text: &str) -> Read<BTreeMap<String, &str>> {
    let mut parts = BTreeMap::new();
    for part in text.split(';').map(str::trim).filter(|part| !part.is_empty()) {
        let Some((name, value)) = part.split_once('=') else {
            return wrong("a part of it is not NAME=VALUE");
        };
        parts.insert(name.trim().to_ascii_lowercase(), value.trim());
    }
    if parts.is_empty() { wrong("it is empty") } else { Ok(parts) }
}

fn service(parts: &BTreeMap<String, &str>, account: Option<&str>, setting: &str, service: &str) -> Read<Url> {
    if let Some(address) = parts.get(&setting.to_ascii_lowercase()) {
        return endpoint(setting, address);
    }
    let Some(account) = account.filter(|name| is_account_name(name)) else {
        return wrong(format!("{setting} is missing, and there is no proper AccountName to make it from"));
    };
    let scheme = parts.get("defaultendpointsprotocol").copied().unwrap_or("https");
    let suffix = parts.get("endpointsuffix").copied().unwrap_or("core.windows.net");
    endpoint("EndpointSuffix", &format!("{scheme}://{account}.{service}.{suffix}"))
}

/// The address of a service of an account: scheme, host, and for emulators the account as the path.
///
/// # Errors
/// [`InvalidConnectionString`], naming `setting`.
pub fn endpoint(setting: &str, address: &str) -> Read<Url> {
    let url = Url::parse(address.trim().trim_end_matches('/')).ok();
    let good = url.filter(|url| {
        matches!(url.scheme(), "https" | "http")
            && url.host().is_some()
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none()
    });
    good.map_or_else(|| wrong(format!("{setting} is no address such as https://ACCOUNT.blob.core.windows.net")), Ok)
}

/// 3 to 24 small letters and digits (Microsoft, "Storage account overview").
pub fn is_account_name(name: &str) -> bool {
    (3..=24).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

fn sas(signature: &str, services: &[&Url]) -> Read<StorageAccess> {
    let signature = signature.trim_start_matches('?');
    if !signature.split('&').any(|pair| pair.starts_with("sig=")) {
        return wrong("SharedAccessSignature has no sig= in it");
    }
    // The whole right of access would travel in the open.
    if services.iter().any(|url| url.scheme() == "http" && !is_loopback(url)) {
        return wrong("a SharedAccessSignature may travel over https alone, except to this machine");
    }
    Ok(StorageAccess::Sas(Secret::new(signature)))
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(account: &StorageAccount) -> (&str, &str) {
        match &account.access {
            StorageAccess::Key { account, key } => (account, key.expose()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_portals_own_text_is_read() {
        let text = "DefaultEndpointsProtocol=https;AccountName=stkeymend;AccountKey=YWJj+/8=;EndpointSuffix=core.usgovcloudapi.net";
        let account = parse(text).unwrap();
        assert_eq!(account.blob.as_str(), "https://stkeymend.blob.core.usgovcloudapi.net/");
        assert_eq!(account.queue.as_str(), "https://stkeymend.queue.core.usgovcloudapi.net/");
        assert_eq!(key(&account), ("stkeymend", "YWJj+/8="));
    }

    #[test]
    fn emulators_keep_the_account_in_the_path() {
        let local = parse("UseDevelopmentStorage=true").unwrap();
        assert_eq!(local.blob.as_str(), "http://127.0.0.1:10000/devstoreaccount1");
        let text = "accountname=a1b;ACCOUNTKEY=YQ==;BlobEndpoint=http://127.0.0.1:5/a1b/;QueueEndpoint=http://h:6/a1b";
        let named = parse(text).unwrap();
        assert_eq!((named.blob.as_str(), named.queue.as_str()), ("http://127.0.0.1:5/a1b", "http://h:6/a1b"));
    }

    #[test]
    fn a_signature_needs_no_key_and_never_travels_in_the_open() {
        let text = "BlobEndpoint=https://st.blob.core.windows.net;QueueEndpoint=https://st.queue.core.windows.net;SharedAccessSignature=?sv=2024&sig=x%3D";
        assert_eq!(parse(text).unwrap().access, StorageAccess::Sas(Secret::new("sv=2024&sig=x%3D")));
        let open = text.replace("https://st.queue", "http://st.queue");
        assert!(parse(&open).unwrap_err().0.contains("https"), "{open}");
    }

    #[test]
    fn what_is_wrong_is_named_without_the_values() {
        for (text, named) in [
            ("", "empty"),
            ("AccountName=abc", "AccountKey"),
            ("AccountKey=hunter2=", "AccountName"),
            ("AccountName=abc;AccountKey=hunter2!", "base64"),
            ("AccountName=Not Good;AccountKey=aHVudGVyMg==", "AccountName"),
            ("AccountName=abc;AccountKey=aHVudGVyMg==;BlobEndpoint=ftp://hunter2", "BlobEndpoint"),
            ("AccountName=abc;AccountKey=aHVudGVyMg==;BlobEndpoint=https://a:hunter2@b", "BlobEndpoint"),
            ("AccountName=abc;SharedAccessSignature=hunter2", "sig="),
            ("hunter2", "NAME=VALUE"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(named), "{text}: {error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_without_showing_it(text in ".{0,80}") {
            if let Err(error) = parse(&format!("AccountName={text};AccountKey=c2VjcmV0c2VjcmV0")) {
                prop_assert!(!error.to_string().contains("c2VjcmV0"));
            }
            let _ = parse(&text);
        }

        #[test]
        fn what_is_written_is_what_is_read(name in "[a-z0-9]{3,24}", key in proptest::collection::vec(any::<u8>(), 1..64)) {
            let encoded = STANDARD.encode(key);
            let account = parse(&format!("AccountKey={encoded};AccountName={name}")).unwrap();
            let host = format!("{name}.blob.core.windows.net");
            prop_assert_eq!(account.blob.host_str(), Some(host.as_str()));
            prop_assert_eq!(self::key(&account), (name.as_str(), encoded.as_str()));
        }
    }
}

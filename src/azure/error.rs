//! What went wrong with a request to Azure: matched by Azure's codes, worded for a person, free of secrets.

use std::sync::LazyLock;

use jiff::SignedDuration;
use regex::Regex;
use serde_json::Value;

use crate::azure::json::text;
use crate::domain::evidence::{Fact, MissingRight};

/// Longest message taken over from Azure, in characters.
const LONGEST_MESSAGE: usize = 600;

/// Why a request did not do what was asked.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum AzureError {
    /// Azure understood and said no. Nothing was changed.
    #[error("{what}: Azure refused with {code} ({status}){}: {message}", inner(.inner_code.as_deref()))]
    Refused {
        /// Method and path.
        what: String,
        /// HTTP status; the same code comes with different ones, so never decide by it.
        status: u16,
        /// Azure's error code.
        code: String,
        /// Azure's words.
        message: String,
        /// The inner error's code, such as a key vault's or a SQL one.
        inner_code: Option<String>,
        /// What Azure says it is about.
        target: Option<String>,
    },
    /// The responder lacks a right. Nothing was changed.
    #[error("{what}: the responder lacks {action} on {scope} ({code}{})", inner(.inner_code.as_deref()))]
    Forbidden {
        /// Method and path.
        what: String,
        /// The action that was refused, such as `Microsoft.KeyVault/vaults/write`.
        action: String,
        /// On what.
        scope: String,
        /// Azure's error code.
        code: String,
        /// A key vault's inner code: `ForbiddenByPolicy`, `ForbiddenByRbac`, `ForbiddenByFirewall`, `ForbiddenByConnection`.
        inner_code: Option<String>,
    },
    /// It does not exist, or its parent does not.
    #[error("{what}: not there ({code})")]
    NotFound {
        /// Method and path.
        what: String,
        /// Azure's error code.
        code: String,
    },
    /// Azure asks to come back later than this request is willing to wait. Nothing was changed.
    #[error("{what}: Azure asks to wait {} s before the next request", .retry_after.as_secs())]
    Throttled {
        /// Method and path.
        what: String,
        /// How long to wait.
        retry_after: SignedDuration,
    },
    /// No answer, or only server errors, after all tries. For a write: it never left.
    #[error("{what}: {why}")]
    Unreachable {
        /// Method and path.
        what: String,
        /// What happened.
        why: String,
    },
    /// An answer that is not what this operation answers.
    #[error("{what}: the answer could not be used: {why}")]
    BadAnswer {
        /// Method and path.
        what: String,
        /// What was wrong.
        why: String,
    },
    /// A write that was sent and whose answer did not come: read again what it was to change.
    #[error("{what}: sent, but whether it was done is not known ({why}); read it again")]
    OutcomeUnknown {
        /// Method and path.
        what: String,
        /// What happened instead of an answer.
        why: String,
        /// The id under which the request was sent: it shows up in the Activity Log.
        client_request_id: String,
    },
    /// A host or address that does not belong to the configured cloud; no request was sent.
    #[error("{0}; no request was sent there")]
    NotThisCloud(String),
    /// No token, or Azure does not accept it.
    #[error("no usable credential: {0}")]
    Credential(String),
}

fn inner(code: Option<&str>) -> String {
    code.map_or_else(String::new, |code| format!(", {code}"))
}

impl AzureError {
    /// Azure's error code, where it gave one.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused { code, .. } | Self::Forbidden { code, .. } | Self::NotFound { code, .. } => Some(code),
            _ => None,
        }
    }

    /// The inner code, where there is one.
    #[must_use]
    pub fn inner_code(&self) -> Option<&str> {
        match self {
            Self::Refused { inner_code, .. } | Self::Forbidden { inner_code, .. } => inner_code.as_deref(),
            _ => None,
        }
    }

    /// Whether the code or the inner code is `code`, in any case.
    #[must_use]
    pub fn is(&self, code: &str) -> bool {
        [self.code(), self.inner_code()].into_iter().flatten().any(|own| own.eq_ignore_ascii_case(code))
    }

    /// Whether Azure says that the thing, or what it lies in, does not exist.
    #[must_use]
    pub const fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }

    /// Whether the same request may succeed later with nothing else changed.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Throttled { .. } | Self::Unreachable { .. } | Self::OutcomeUnknown { .. })
    }

    /// Whether a key vault's network rules kept the responder out (which says nothing about its rights).
    #[must_use]
    pub fn is_vault_firewall(&self) -> bool {
        self.is("ForbiddenByFirewall") || self.is("ForbiddenByConnection")
    }

    /// How long Azure asked to wait, if it did.
    #[must_use]
    pub const fn retry_after(&self) -> Option<SignedDuration> {
        match self {
            Self::Throttled { retry_after, .. } => Some(*retry_after),
            _ => None,
        }
    }

    /// The right that is missing, if that is why.
    #[must_use]
    pub fn missing_right(&self) -> Option<MissingRight> {
        match self {
            Self::Forbidden { action, scope, .. } if !self.is_vault_firewall() => {
                Some(MissingRight { action: action.clone(), scope: scope.clone() })
            }
            _ => None,
        }
    }

    /// What a failed read tells: absent, denied, or unknown with the reason.
    #[must_use]
    pub fn into_fact<T>(self) -> Fact<T> {
        if self.is_not_found() {
            return Fact::Absent;
        }
        match self.missing_right() {
            Some(right) => Fact::Denied(right),
            None => Fact::Unknown(self.to_string()),
        }
    }
}

/// A read's result as a fact.
pub fn fact<T>(result: Result<T, AzureError>) -> Fact<T> {
    result.map_or_else(AzureError::into_fact, Fact::Known)
}

/// An error body as Azure sends it, before it is judged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ErrorBody {
    pub code: Option<String>,
    pub message: String,
    pub inner_code: Option<String>,
    pub target: Option<String>,
}

/// Reads `{"error":{code,message,target,innererror,details}}`, the same without `error`, and anything else as nothing.
pub(crate) fn error_body(body: &Value) -> ErrorBody {
    let error = [&body["error"], &body["Error"]].into_iter().find(|error| error.is_object()).unwrap_or(body);
    let field = |names: &[&str]| {
        names.iter().find_map(|name| text(&error[*name])).filter(|found| !found.trim().is_empty()).map(shorten)
    };
    let first_detail = || {
        let details = error["details"].as_array()?;
        details.iter().find_map(|detail| text(&detail["code"])).filter(|code| !code.is_empty())
    };
    let inner = ["innererror", "innerError"].into_iter().find_map(|name| text(&error[name]["code"]));
    ErrorBody {
        code: field(&["code", "Code"]),
        message: field(&["message", "Message"]).unwrap_or_default(),
        inner_code: inner.or_else(first_detail).map(shorten),
        target: field(&["target"]),
    }
}

fn shorten(text: &str) -> String {
    let one_line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match one_line.char_indices().nth(LONGEST_MESSAGE) {
        Some((end, _)) => format!("{}…", &one_line[..end]),
        None => one_line,
    }
}

/// What a final answer of 400 or above means. `action` and `scope` are what was asked for, in case Azure does not say.
pub(crate) fn refusal(what: String, status: u16, body: &Value, action: &str, scope: &str) -> AzureError {
    let ErrorBody { code, message, inner_code, target } = error_body(body);
    let Some(code) = code else {
        return match status {
            403 => AzureError::Forbidden {
                what,
                action: action.to_owned(),
                scope: scope.to_owned(),
                code: "Forbidden".to_owned(),
                inner_code,
            },
            _ => AzureError::BadAnswer { what, why: format!("HTTP {status} without an error code") },
        };
    };
    if is_missing_right(&code) {
        let named = named_right(&message);
        let (action, scope) = named.unwrap_or_else(|| (action.to_owned(), scope.to_owned()));
        return AzureError::Forbidden { what, action, scope, code, inner_code };
    }
    if status == 404 && is_absence(&code) {
        return AzureError::NotFound { what, code };
    }
    AzureError::Refused { what, status, code, message, inner_code, target }
}

/// Codes that mean a right is missing. `RequestDisallowedByPolicy` and locks are refusals of another kind.
fn is_missing_right(code: &str) -> bool {
    ["AuthorizationFailed", "LinkedAuthorizationFailed", "Forbidden", "AccessDenied", "AuthorizationPermissionMismatch"]
        .iter()
        .any(|known| code.eq_ignore_ascii_case(known))
}

/// Codes that mean the resource, or what it lies in, does not exist. A subscription or tenant "not found" is one that we
/// may not see, which is something else.
fn is_absence(code: &str) -> bool {
    let code = code.to_ascii_lowercase();
    code.ends_with("notfound")
        && !["subscriptionnotfound", "tenantnotfound", "endpointnotfound"].contains(&code.as_str())
}

/// The action and scope in Azure's own sentence, if it names them.
fn named_right(message: &str) -> Option<(String, String)> {
    // ARM: "... does not have authorization to perform action 'X' over scope 'Y' or the scope is invalid ...";
    // linked: "... does not have permission to perform action 'X' on the linked scope(s) 'Y' ...".
    static ARM: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(r"does not have (?:authorization|permission) to perform action '([^']+)' (?:over scope|on the linked scope\(s\)) '([^']+)'").ok()
    });
    // Key Vault with RBAC: "Action: 'X' Resource: '/subscriptions/…'".
    static VAULT_RBAC: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"Action: '([^']+)'.*?Resource: '([^']+)'").ok());
    // Key Vault with policies: "... does not have keys get permission on key vault 'name;location=…'".
    static VAULT_POLICY: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"does not have (\w+ \w+) permission on key vault '([^';]+)").ok());
    [&ARM, &VAULT_RBAC, &VAULT_POLICY].into_iter().find_map(|regex| {
        let found = (**regex).as_ref()?.captures(message)?;
        Some((found.get(1)?.as_str().to_owned(), found.get(2)?.as_str().to_owned()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn judged(status: u16, body: &Value) -> AzureError {
        refusal("GET /x".to_owned(), status, body, "Asked/read", "/asked")
    }

    #[test]
    fn the_missing_right_is_the_one_that_azure_names() {
        let arm = json!({"error": {"code": "AuthorizationFailed", "message": "The client 'a' with object id 'b' does not have authorization to perform action 'Microsoft.KeyVault/vaults/read' over scope '/subscriptions/s/resourceGroups/rg' or the scope is invalid."}});
        let linked = json!({"error": {"code": "LinkedAuthorizationFailed", "message": "The client 'a' has permission to perform action 'Microsoft.Sql/servers/write' on scope '/s'; however, it does not have permission to perform action 'Microsoft.ManagedIdentity/userAssignedIdentities/assign/action' on the linked scope(s) '/subscriptions/s/uami' or the linked scope(s) are invalid."}});
        let rbac = json!({"error": {"code": "Forbidden", "message": "Caller is not authorized to perform action on resource.\r\nCaller: appid=x;oid=y\r\nAction: 'Microsoft.KeyVault/vaults/keys/read'\r\nResource: '/subscriptions/s/vaults/kv/keys/k'\r\nAssignment: (not found)", "innererror": {"code": "ForbiddenByRbac"}}});
        let policy = json!({"error": {"code": "Forbidden", "message": "The user, group or application 'appid=x' does not have keys get permission on key vault 'kv;location=westus'.", "innererror": {"code": "ForbiddenByPolicy"}}});
        for (body, action, scope) in [
            (arm, "Microsoft.KeyVault/vaults/read", "/subscriptions/s/resourceGroups/rg"),
            (linked, "Microsoft.ManagedIdentity/userAssignedIdentities/assign/action", "/subscriptions/s/uami"),
            (rbac, "Microsoft.KeyVault/vaults/keys/read", "/subscriptions/s/vaults/kv/keys/k"),
            (policy, "keys get", "kv"),
            (json!({"error": {"code": "Forbidden", "message": "no"}}), "Asked/read", "/asked"),
        ] {
            let right = judged(403, &body).missing_right().unwrap();
            assert_eq!((right.action.as_str(), right.scope.as_str()), (action, scope));
        }
    }

    #[test]
    fn a_firewalled_vault_is_no_missing_right() {
        let body = json!({"error": {"code": "Forbidden", "message": "Client address is not authorized and caller is not a trusted service.", "innererror": {"code": "ForbiddenByFirewall"}}});
        let error = judged(403, &body);
        assert!(error.is_vault_firewall());
        assert!(matches!(error.into_fact::<()>(), Fact::Unknown(_)));
    }

    #[test]
    fn only_what_azure_calls_absent_is_absent() {
        for (status, code, absent) in [
            (404, "ResourceNotFound", true),
            (404, "ParentResourceNotFound", true),
            (404, "ResourceGroupNotFound", true),
            (404, "KeyNotFound", true),
            (404, "SubscriptionNotFound", false),
            (404, "InvalidResourceType", false),
            (400, "PrincipalNotFound", false),
            (409, "ScopeLocked", false),
        ] {
            let error = judged(status, &json!({"error": {"code": code, "message": "m"}}));
            assert_eq!(error.into_fact::<()>().is_absent(), absent, "{code}");
        }
        assert!(!judged(404, &Value::Null).is_not_found(), "an answer without a code may come from anywhere");
    }

    #[test]
    fn codes_are_found_wherever_azure_puts_them() {
        let plain = json!({"code": "Conflict", "message": "m", "details": [{"code": "AzureKeyVaultKeyDisabled"}]});
        let error = judged(409, &plain);
        assert_eq!(error.code(), Some("Conflict"));
        assert!(error.is("azurekeyvaultkeydisabled"));
    }

    proptest! {
        #[test]
        fn no_body_panics_and_long_messages_are_cut(message in "\\PC{0,3000}", code in "\\PC{0,40}", status in 400u16..600) {
            let error = judged(status, &json!({"error": {"code": code, "message": message}}));
            prop_assert!(error.to_string().chars().count() < 1600);
        }
    }
}

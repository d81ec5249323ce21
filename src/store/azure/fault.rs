//! What went wrong at the storage account, in a person's words: which account and place, what it answered, what to do.

use azure_core::error::ErrorKind;

use super::account::{StorageAccess, StorageAccount};
use crate::store::StoreError;

/// A container or queue of an account, as errors name it.
#[derive(Debug, Clone)]
pub(super) struct Place {
    account: String,
    what: String,
    identity: bool,
    role: &'static str,
}

impl Place {
    pub(super) fn container(account: &StorageAccount, name: &str) -> Self {
        Self::new(account, format!("the container {name}"), "Storage Blob Data Contributor")
    }

    pub(super) fn queue(account: &StorageAccount, name: &str) -> Self {
        Self::new(account, format!("the queue {name}"), "Storage Queue Data Contributor")
    }

    fn new(account: &StorageAccount, what: String, role: &'static str) -> Self {
        let identity = matches!(account.access, StorageAccess::Identity(_));
        Self { account: account.name().to_owned(), what, identity, role }
    }

    /// The error for the caller. The SDK's own text is left out where it could show an address with a signature.
    pub(super) fn explain(&self, error: &azure_core::Error) -> StoreError {
        let Self { account, what, .. } = self;
        let place = format!("{what} of the storage account {account}");
        let text = match error.kind() {
            ErrorKind::HttpResponse { status, error_code, .. } => {
                let status = u16::from(*status);
                let code = error_code.as_deref().unwrap_or("no code");
                format!("{place} answered {status} ({code}); {}", self.advice(status, code))
            }
            ErrorKind::Credential => format!(
                "there is no token for {place}: {error}; see that the identity exists and is the one that AzureWebJobsStorage__clientId names"
            ),
            ErrorKind::Connection | ErrorKind::Io => format!(
                "{place} cannot be reached ({}); see that its name is right and its network lets us in",
                deepest(error)
            ),
            _ => format!("{place} gave an answer that is not understood ({})", deepest(error)),
        };
        StoreError::Unavailable(text)
    }

    /// The error when the service took longer than a caller can wait.
    pub(super) fn too_slow(&self) -> StoreError {
        let Self { account, what, .. } = self;
        StoreError::Unavailable(format!("{what} of the storage account {account} did not answer in time; try again"))
    }

    /// The error when a client can't even be made.
    pub(super) fn no_address(&self) -> StoreError {
        let Self { account, what, .. } = self;
        StoreError::Unavailable(format!("{what} of the storage account {account} has an address that cannot be used"))
    }

    /// The error when others are always faster.
    pub(super) fn contended(&self, record: &str) -> StoreError {
        let Self { account, what, .. } = self;
        let text = format!("{record} in {what} of the storage account {account} is changed too often; try again");
        StoreError::Unavailable(text)
    }

    fn advice(&self, status: u16, code: &str) -> String {
        match (status, code) {
            (403, "AuthorizationPermissionMismatch" | "InsufficientAccountPermissions") if self.identity => {
                format!("give the app's identity the role {} on the account (it takes minutes to count)", self.role)
            }
            (403, "AuthorizationPermissionMismatch" | "InsufficientAccountPermissions" | "AuthorizationResourceTypeMismatch") => {
                "the shared access signature allows too little: it needs read, write, delete, list, add, create, update and process on blobs and queues, for services, containers and objects".to_owned()
            }
            (403, "AuthorizationFailure") if self.identity => {
                format!("the account's network rules keep us out, or the role {} is missing", self.role)
            }
            (403, "AuthorizationFailure") => {
                "the account's network rules keep us out, or the key or signature in AzureWebJobsStorage is not accepted".to_owned()
            }
            (403, "KeyBasedAuthenticationNotPermitted") => {
                "the account takes no keys: set AzureWebJobsStorage__accountName and give the app's identity its roles".to_owned()
            }
            (401 | 403, _) if self.identity => {
                format!("see that the app's identity has the role {} on the account", self.role)
            }
            (401 | 403, _) => {
                "the key or signature in AzureWebJobsStorage is not accepted: see that it is of this account, not renewed or run out, and that this machine's clock is right".to_owned()
            }
            (404, "ContainerNotFound" | "QueueNotFound") => "it is not there any more; restart Keymend, which makes it anew".to_owned(),
            (404, "ResourceNotFound") => "there is no such account, container or queue".to_owned(),
            (409, "ContainerBeingDeleted" | "QueueBeingDeleted") => "somebody is deleting it; when that is done it can be made anew".to_owned(),
            (429 | 500..=599, _) => "that should pass; it is tried again".to_owned(),
            (400, "InvalidHeaderValue" | "UnsupportedHeader") => "an emulator that is too old? Azurite 3.35 is known to work".to_owned(),
            _ => "see the account in the portal".to_owned(),
        }
    }
}

/// The innermost cause, which names neither address nor credential.
fn deepest(error: &azure_core::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    let text = cause.to_string();
    let shown: String = text.chars().take(200).collect();
    if shown.contains("sig=") || shown.contains("://") { "details are withheld".to_owned() } else { shown }
}

/// The service's code of an error, and its status.
pub(super) fn code(error: &azure_core::Error) -> (u16, &str) {
    match error.kind() {
        ErrorKind::HttpResponse { status, error_code, .. } => {
            (u16::from(*status), error_code.as_deref().unwrap_or_default())
        }
        _ => (0, ""),
    }
}

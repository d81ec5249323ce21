//! The wire: every request that Keymend sends to Azure, and every answer it reads.
//!
//! No other room builds an Azure URL. Reads come back in the words of [`crate::domain::evidence`]; a change is first a
//! [`PreparedWrite`] (what exactly would be sent, for a dry run or for people to see) and then [`Azure::send`].
//!
//! | file | job |
//! |---|---|
//! | [`clouds`] | which hosts belong to the configured cloud, and which never get a request or a token |
//! | [`credential`] | a bearer token for a scope |
//! | [`entra`] | the keys by which a tenant signs its tokens |
//! | [`transport`] | sending: deadlines, tries, limits on the answer; `request` is one as data, `retry` judges a try, `pages` reads lists, `meter` counts |
//! | [`error`] | what went wrong, in Azure's codes and a person's words |
//! | [`mod@write`] | a prepared change, and the receipt of a sent one |
//! | [`operation`] | following a long-running operation |
//! | [`caller`] | who we are by our own tokens, and the time there |
//! | [`dependent`] | things that depend on a key: one file a kind |
//! | `shapes` | any body read as each kind of answer, for fuzzing |
//! | `sql`, `sql_databases`, [`sql_settings`], `key_vault`, `key_attributes`, `key_vault_keys`, `authorization`, `own_rights`, `locks`, `activity_log`, `alert_rules`, `resource_graph`, `managed_identity` | one service each: reads, writes and their parsers |

mod activity_log;
pub mod alert_rules;
pub mod authorization;
pub mod caller;
pub mod clouds;
pub mod credential;
pub mod dependent;
pub mod entra;
pub mod error;
mod json;
mod key_attributes;
pub mod key_vault;
mod key_vault_keys;
mod locks;
mod managed_identity;
mod meter;
pub mod operation;
pub mod own_rights;
mod pages;
mod replication;
mod request;
pub mod resource_graph;
mod retry;
#[cfg(feature = "drill")]
pub mod shapes;
mod sql;
mod sql_databases;
pub mod sql_settings;
pub mod transport;
pub mod write;

pub use clouds::{Cloud, CloudConfig, ConfigError, Endpoints, STORAGE_SCOPE};
pub use credential::{Credential, CredentialConfig, Secret};
pub use error::AzureError;
pub use meter::Meter;
pub use operation::{OperationUrl, Progress};
pub use transport::Azure;
pub use write::{PreparedWrite, WriteReceipt};

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod garbled;
#[cfg(test)]
mod hostile;
#[cfg(test)]
pub(crate) mod stand_in;
#[cfg(test)]
mod tests;

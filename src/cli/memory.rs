//! Which store a command works on, and how it answers: the same for every command that works beside `serve`.

use std::fmt;
use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::json;

use crate::cli::environment;
use crate::cli::output::{complain, plain, say};
use crate::settings::{Problems, Settings, StoreChoice, StoreLocation};

/// Which store, and in what form it is answered.
#[derive(Debug, clap::Args)]
pub struct MemoryArgs {
    /// Where Keymend remembers, over the settings: such as sqlite:keymend.db, or azure (the account that AzureWebJobsStorage names)
    #[arg(long, global = true, value_name = "sqlite:PATH|azure")]
    pub store: Option<StoreChoice>,
    /// The settings that name the store [default: keymend.toml in this folder]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print JSON instead of words
    #[arg(long, global = true)]
    pub json: bool,
}

impl MemoryArgs {
    /// The store that is meant.
    ///
    /// # Errors
    /// [`Problems`] of the settings that name it.
    pub fn location(&self) -> Result<StoreLocation, Problems> {
        match &self.store {
            Some(store) => store.locate(&environment),
            None => Settings::store_location(self.config.as_deref(), &environment),
        }
    }

    /// Tells why it was not done, and fails.
    #[must_use]
    pub fn fail(&self, failure: &dyn fmt::Display) -> ExitCode {
        let why = failure.to_string();
        if self.json {
            say(&json!({ "error": why }).to_string());
        }
        complain(&plain(&why));
        ExitCode::FAILURE
    }
}

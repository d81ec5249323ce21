//! Whether the store can be written and read, and what lies in it that nobody works on.

use serde_json::json;

use super::Patient;
use super::report::{Check, Fix, Section};
use crate::store::Store;

/// The one fact that the doctor keeps.
const FACT: (&str, &str) = ("doctor", "examined");
/// So many jobs that were set aside are named.
const NAMED: usize = 3;

pub(super) async fn check(patient: &Patient<'_>) -> Section {
    let location = &patient.settings.store;
    let checks = match &patient.store {
        Err(why) => vec![Check::missing("store", why.clone()).fix(fix())],
        Ok(store) => {
            let written = write_and_read(&**store, patient).await;
            let store_check = match written {
                Ok(()) => Check::ok("store", format!("{location}: written and read back")),
                Err(why) => Check::missing("store", format!("{location}: {why}")).fix(fix()),
            };
            vec![store_check, set_aside(&**store).await]
        }
    };
    Section { name: "store", checks }
}

fn fix() -> Fix {
    Fix::words(
        "Let the user that runs Keymend write the store (in Azure Storage: the roles Storage Blob Data Owner and Storage \
         Queue Data Contributor), or name another one: store.location, KEYMEND_STORE or --store",
    )
}

async fn write_and_read(store: &dyn Store, patient: &Patient<'_>) -> Result<(), String> {
    let now = patient.azure.clock().now();
    let value = json!({ "version": env!("CARGO_PKG_VERSION"), "at": now });
    store.keep_fact(FACT.0, FACT.1, &value, now).await.map_err(|error| error.to_string())?;
    match store.fact(FACT.0, FACT.1).await {
        Ok(Some((read, _))) if read == value => Ok(()),
        Ok(_) => Err("what was written is not what is read".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

async fn set_aside(store: &dyn Store) -> Check {
    match store.poison().await {
        Ok(jobs) if jobs.is_empty() => Check::ok("jobs", "none was set aside"),
        Ok(jobs) => {
            let named: Vec<String> = jobs.iter().take(NAMED).map(|(key, why)| format!("{key} ({why})")).collect();
            let more = if jobs.len() > NAMED { ", …" } else { "" };
            let said = format!("{} failed too often and set aside: {}{more}", jobs.len(), named.join(", "));
            let fix = Fix::command("See why, and let them be tried again", "keymend incidents jobs");
            Check::warning("jobs", said).fix(fix)
        }
        Err(error) => Check::unknown("jobs", error.to_string()),
    }
}

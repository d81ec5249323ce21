//! Re-validate: SQL checks the server's protector and brings its databases back.

use crate::azure::{Azure, PreparedWrite};
use crate::domain::resource_id::ResourceId;
use crate::remedy::outcome::{Outcome, Way, differs};
use crate::remedy::send::send;

/// The request is the check itself: it changes nothing where SQL has access, and says why where it has not. So there is
/// no precondition to read; whether databases come back is for the pass that verifies.
pub(super) async fn apply(azure: &Azure, server: &ResourceId) -> Way<Outcome> {
    let told = ("TDE protector", "access not checked since it was lost", "checked again by SQL");
    let before_after = vec![(told.0.to_owned(), told.1.to_owned(), told.2.to_owned())];
    let write = PreparedWrite::revalidate(server)
        .ok_or_else(|| differs("it is nothing whose protector Keymend knows how to re-validate"))?;
    let sent = send(azure, &write, before_after).await?;
    Ok(sent.answered())
}

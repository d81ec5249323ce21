//! The container: blobs read, written under a condition, deleted and listed.

use std::collections::HashMap;
use std::fmt;
use std::num::NonZero;
use std::sync::Arc;

use azure_core::credentials::TokenCredential;
use azure_core::http::{Etag, NoFormat, RequestContent};
use azure_storage_blob::models::{
    BlobClientDeleteOptions, BlobClientDownloadOptions, BlobClientGetPropertiesResultHeaders as _,
    BlobClientUploadOptions, BlobContainerClientListBlobsOptions, ListBlobsIncludeItem,
};
use azure_storage_blob::{BlobContainerClient, BlobContainerClientOptions};
use futures::future::BoxFuture;
use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _};

use super::account::StorageAccount;
use super::fault::{Place, code};
use super::wire;
use crate::ids::Ids;
use crate::store::{Result, StoreError};

/// How many requests one call sends at once.
pub(super) const AT_ONCE: usize = 16;

/// The version of the service that we speak: one that emulators in use know.
pub(super) const SERVICE_VERSION: &str = "2025-05-05";

/// Which write a blob is of: by it a write whose answer was lost is told from somebody else's.
const STAMP: &str = "w";

/// What a blob tells without being read: ASCII names and values.
pub(super) type Metadata = HashMap<String, String>;

/// A blob that was read.
#[derive(Debug)]
pub(super) struct Found {
    pub body: Vec<u8>,
    pub etag: Etag,
    pub metadata: Metadata,
}

/// A blob that was listed or looked at.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub name: String,
    pub etag: Etag,
    pub metadata: Metadata,
}

impl Seen {
    /// A number in the metadata, such as a time in microseconds.
    pub fn number(&self, name: &str) -> Option<i64> {
        self.metadata.get(name)?.parse().ok()
    }

    pub fn text(&self, name: &str) -> &str {
        self.metadata.get(name).map_or("", String::as_str)
    }
}

/// When a write counts.
#[derive(Debug, Clone)]
pub(super) enum When {
    /// There is no such blob yet.
    New,
    /// It is the version that was read.
    Still(Etag),
    /// In any case.
    Always,
}

/// Our container. The official client's futures are large, and are kept off the stack here: a job has many callers.
pub(super) struct Blobs {
    container: BlobContainerClient,
    pub place: Place,
    ids: Ids,
}

impl fmt::Debug for Blobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.place.fmt(f)
    }
}

impl Blobs {
    /// The container of that name, which may not be there yet.
    pub(super) fn connect(
        account: &StorageAccount,
        name: &str,
        credential: Option<Arc<dyn TokenCredential>>,
        ids: Ids,
    ) -> Result<Self> {
        let place = Place::container(account, name);
        let options = BlobContainerClientOptions {
            client_options: wire::client_options(account)?,
            version: SERVICE_VERSION.to_owned(),
        };
        let address = wire::address(account, &account.blob, name);
        let container = BlobContainerClient::new(address, credential, Some(options)).map_err(|_| place.no_address())?;
        Ok(Self { container, place, ids })
    }

    /// Makes the container if there is none. An identity that may not make one is fine where it exists.
    pub(super) async fn make(&self) -> Result<()> {
        match self.container.create(None).await {
            Ok(_) => Ok(()),
            Err(error) if code(&error).1 == "ContainerAlreadyExists" => Ok(()),
            Err(error) if code(&error).0 == 403 && self.container.get_properties(None).await.is_ok() => Ok(()),
            Err(error) => Err(self.explain(&error)),
        }
    }

    pub(super) async fn exists(&self) -> Result<bool> {
        match self.container.get_properties(None).await {
            Ok(_) => Ok(true),
            Err(error) if code(&error).0 == 404 => Ok(false),
            Err(error) => Err(self.explain(&error)),
        }
    }

    fn explain(&self, error: &azure_core::Error) -> StoreError {
        self.place.explain(error)
    }

    pub(super) async fn get(&self, name: &str) -> Result<Option<Found>> {
        let options = BlobClientDownloadOptions { parallel: NonZero::new(1), ..Default::default() };
        let answer = match self.container.blob_client(name).download(Some(options)).boxed().await {
            Ok(answer) => answer,
            Err(error) if code(&error) == (404, "BlobNotFound") => return Ok(None),
            Err(error) => return Err(self.explain(&error)),
        };
        let (etag, metadata) = (answer.properties.etag, answer.properties.metadata);
        let body = answer.body.collect().await.map_err(|error| self.explain(&error))?;
        let etag = etag.ok_or_else(|| StoreError::Unavailable(format!("the blob {name} came without an ETag")))?;
        Ok(Some(Found { body: body.to_vec(), etag, metadata: lower_case(metadata) }))
    }

    /// Looks at a blob without reading it.
    pub(super) async fn look(&self, name: &str) -> Result<Option<Seen>> {
        match self.container.blob_client(name).get_properties(None).boxed().await {
            Ok(answer) => {
                let etag = answer.etag().ok().flatten();
                let metadata = answer.metadata().unwrap_or_default();
                let etag =
                    etag.ok_or_else(|| StoreError::Unavailable(format!("the blob {name} came without an ETag")))?;
                Ok(Some(Seen { name: name.to_owned(), etag, metadata: lower_case(metadata) }))
            }
            // A HEAD has no body, and some services then give no code.
            Err(error) if matches!(code(&error), (404, code) if code != "ContainerNotFound") => Ok(None),
            Err(error) => Err(self.explain(&error)),
        }
    }

    /// Writes a blob. `None`: the condition did not hold, and nothing was written.
    pub(super) async fn put(&self, name: &str, body: Vec<u8>, metadata: Metadata, when: &When) -> Result<Option<Etag>> {
        let stamp = self.ids.uuid().simple().to_string();
        let mut metadata = metadata;
        metadata.insert(STAMP.to_owned(), stamp.clone());
        let mut options = BlobClientUploadOptions {
            metadata: Some(metadata),
            blob_content_type: Some("application/json".to_owned()),
            ..Default::default()
        };
        match when {
            When::New => options.if_none_match = Some("*".into()),
            When::Still(etag) => options.if_match = Some(etag.clone()),
            When::Always => {}
        }
        let content: RequestContent<_, NoFormat> = RequestContent::from(body);
        match self.container.blob_client(name).upload(content, Some(options)).boxed().await {
            Ok(answer) => {
                let etag = answer.etag;
                etag.map(Some)
                    .ok_or_else(|| StoreError::Unavailable(format!("the blob {name} was written without an ETag")))
            }
            Err(error) if is_refusal(&error) => self.ours_after_all(name, &stamp).await,
            Err(error) => Err(self.explain(&error)),
        }
    }

    /// A write whose answer was lost is sent again, and then refused because of itself.
    async fn ours_after_all(&self, name: &str, stamp: &str) -> Result<Option<Etag>> {
        let seen = self.look(name).await?;
        Ok(seen.filter(|seen| seen.text(STAMP) == stamp).map(|seen| seen.etag))
    }

    /// Deletes a blob. `false`: it is another version, and stays. One that is not there counts as deleted.
    pub(super) async fn delete(&self, name: &str, still: Option<&Etag>) -> Result<bool> {
        let options = BlobClientDeleteOptions { if_match: still.cloned(), ..Default::default() };
        match self.container.blob_client(name).delete(Some(options)).boxed().await {
            Ok(_) => Ok(true),
            Err(error) if code(&error) == (404, "BlobNotFound") => Ok(true),
            Err(error) if is_refusal(&error) => Ok(self.look(name).await?.is_none()),
            Err(error) => Err(self.explain(&error)),
        }
    }

    /// All blobs whose names begin so, with their metadata, in order of their names.
    pub(super) async fn list(&self, prefix: &str) -> Result<Vec<Seen>> {
        let options = BlobContainerClientListBlobsOptions {
            prefix: Some(prefix.to_owned()),
            include: Some(vec![ListBlobsIncludeItem::Metadata]),
            ..Default::default()
        };
        let pager = self.container.list_blobs(Some(options)).map_err(|error| self.explain(&error))?;
        let mut pages = pager.into_pages();
        let mut found = Vec::new();
        while let Some(page) = pages.try_next().await.map_err(|error| self.explain(&error))? {
            let page = page.into_model().map_err(|error| self.explain(&error))?;
            found.extend(page.blob_items.into_iter().filter_map(|item| {
                let metadata = item.metadata.and_then(|metadata| metadata.values).unwrap_or_default();
                Some(Seen { name: item.name?, etag: item.properties?.etag?, metadata: lower_case(metadata) })
            }));
        }
        Ok(found)
    }
}

/// Does all of that, some at once; the answers keep the order. The first error ends it.
pub(super) async fn all<'a, T>(work: impl IntoIterator<Item = BoxFuture<'a, Result<T>>>) -> Result<Vec<T>> {
    let work: Vec<_> = work.into_iter().collect();
    futures::stream::iter(work).buffered(AT_ONCE).try_collect().await
}

/// The same for records of a list: those that can't be read are reported and left out, as are those that are gone.
pub(super) async fn all_readable<'a, T>(
    work: impl IntoIterator<Item = BoxFuture<'a, Result<Option<T>>>>,
) -> Result<Vec<T>> {
    let work = work.into_iter().map(|read| {
        async move {
            match read.await {
                Err(error @ StoreError::Unreadable { .. }) => {
                    tracing::error!(%error, "left out a record");
                    Ok(None)
                }
                read => read,
            }
        }
        .boxed()
    });
    Ok(all(work.collect::<Vec<_>>()).await?.into_iter().flatten().collect())
}

/// Metadata names are headers, whose case the service does not keep.
fn lower_case(metadata: Metadata) -> Metadata {
    metadata.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect()
}

/// Whether a condition did not hold. A version that is awaited of a blob that is gone is refused in several ways.
fn is_refusal(error: &azure_core::Error) -> bool {
    matches!(code(error), (412, _) | (409, "BlobAlreadyExists") | (404, "BlobNotFound"))
}

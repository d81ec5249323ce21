//! How we sign in, and what a person is told when we are not let in or a record is not readable.

use keymend::ids::Ids;
use keymend::store::{AzureStorageSettings, AzureStore, NewJob, Store, StoreError};
use serde_json::json;

use crate::azurite::{Azurite, KEY, connection_string as with_key};
use crate::kit::{at, incident, loss, open, pass, place, through};
use crate::signature::{ALL, account_signature, connection_string};

async fn refused(place: &AzureStorageSettings) -> String {
    let error = AzureStore::open(place, None, Ids::random()).await.map(|_| ()).unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    assert!(!format!("{place:?}").contains(KEY), "settings show the key");
    error.to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signature_does_as_well_as_a_key() {
    let Some(azurite) = Azurite::shared() else { return };
    let by_key = place(azurite);
    let by_signature = through(&by_key, &connection_string(azurite, ALL));
    let store = open(&by_signature).await;
    store.accept(&[loss("a", "one")], at(0)).await.unwrap();
    let job = store.lease(at(0), jiff::SignedDuration::from_mins(1)).await.unwrap().unwrap();
    store.complete(&job, at(0)).await.unwrap();
    let opened = incident("a", "kv");
    store.save(&opened, None, &[pass(&opened)], &[], at(0)).await.unwrap();
    assert_eq!(open(&by_key).await.incident(&opened.id).await.unwrap().unwrap().0, opened);
    let shown = format!("{by_signature:?} {store:?}");
    assert!(!shown.contains("sig="), "{shown}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_key_is_told_without_showing_it() {
    let Some(azurite) = Azurite::shared() else { return };
    let right = with_key(&azurite.blob_endpoint(), &azurite.queue_endpoint());
    let wrong = KEY.replacen("Eby8", "AAAA", 1);
    let words = refused(&through(&place(azurite), &right.replace(KEY, &wrong))).await;
    for said in ["devstoreaccount1", "403", "AzureWebJobsStorage", "the container store-"] {
        assert!(words.contains(said), "{said}: {words}");
    }
    assert!(!words.contains(&wrong[..20]), "{words}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signature_that_allows_too_little_is_told_without_showing_it() {
    let Some(azurite) = Azurite::shared() else { return };
    let words = refused(&through(&place(azurite), &connection_string(azurite, "r"))).await;
    assert!(words.contains("403") && words.contains("AzureWebJobsStorage") || words.contains("signature"), "{words}");
    let signature = account_signature("r");
    assert!(!words.contains("sig=") && !words.contains(signature.rsplit('=').next().unwrap()), "{words}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_that_is_not_there_is_told_in_time() {
    let Some(azurite) = Azurite::shared() else { return };
    let nowhere = "http://127.0.0.1:9/devstoreaccount1";
    let began = std::time::Instant::now();
    let words = refused(&through(&place(azurite), &with_key(nowhere, nowhere))).await;
    assert!(words.contains("cannot be reached") && words.contains("devstoreaccount1"), "{words}");
    assert!(began.elapsed() < std::time::Duration::from_secs(20));
}

async fn overwrite(azurite: &Azurite, place: &AzureStorageSettings, prefix: &str, body: &str) {
    let http = keymend::tls::client().no_proxy().build().unwrap();
    let container = format!("{}/{}", azurite.blob_endpoint(), place.container);
    let signature = account_signature(ALL);
    let list = format!("{container}?restype=container&comp=list&prefix={prefix}&{signature}");
    let listed = http.get(list).send().await.unwrap().text().await.unwrap();
    let name = listed.split("<Name>").nth(1).unwrap().split("</Name>").next().unwrap();
    // What the list tells of it stays, as when a disk or a hand damages the content.
    let head = http.head(format!("{container}/{name}?{signature}")).send().await.unwrap();
    let mut put = http.put(format!("{container}/{name}?{signature}")).header("x-ms-blob-type", "BlockBlob");
    for (name, value) in head.headers().iter().filter(|(name, _)| name.as_str().starts_with("x-ms-meta-")) {
        put = put.header(name, value);
    }
    let answer = put.body(body.to_owned()).send().await.unwrap();
    assert!(answer.status().is_success(), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_of_a_newer_version_are_left_alone() {
    let Some(azurite) = Azurite::shared() else { return };
    let place = place(azurite);
    let newer = json!({"v": 2, "record": {"something": "else"}}).to_string();
    let opened = incident("a", "kv");
    let version = open(&place).await.save(&opened, None, &[pass(&opened)], &[], at(0)).await.unwrap();
    overwrite(azurite, &place, "incidents", &newer).await;
    overwrite(azurite, &place, "jobs", &newer).await;
    let store = open(&place).await;
    let unreadable = |error: StoreError| match error {
        StoreError::Unreadable { why, .. } => assert!(why.contains("newer"), "{why}"),
        other => panic!("{other:?}"),
    };
    unreadable(store.incident(&opened.id).await.unwrap_err());
    unreadable(store.save(&opened, Some(version), &[], &[], at(1)).await.unwrap_err());
    assert_eq!(store.incidents(false, 9).await.unwrap(), [], "a list leaves it out");
    let second = incident("b", "kv");
    assert_eq!(store.save(&second, None, &[], &[], at(1)).await, Err(StoreError::Conflict), "it still has its key");
    unreadable(store.enqueue(&pass(&opened), at(1)).await.unwrap_err());
    assert_eq!(store.lease(at(1), jiff::SignedDuration::from_mins(1)).await.unwrap(), None, "and so does the queue");
    assert_eq!(store.next_due().await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_job_does_not_keep_its_incident_from_being_mended() {
    let Some(azurite) = Azurite::shared() else { return };
    let place = place(azurite);
    let store = open(&place).await;
    let job: NewJob = pass(&incident("a", "kv"));
    store.enqueue(&job, at(0)).await.unwrap();
    overwrite(azurite, &place, "jobs", "{\"v\":1,\"rec").await;
    assert_eq!(store.lease(at(0), jiff::SignedDuration::from_mins(1)).await.unwrap(), None);
    store.enqueue(&job, at(1)).await.unwrap();
    let leased = store.lease(at(1), jiff::SignedDuration::from_mins(1)).await.unwrap().unwrap();
    assert_eq!(leased.work, job.work);
}

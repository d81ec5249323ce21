//! A shared access signature for the account (Microsoft, "Create an account SAS"), made here as the portal makes one.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::Sha256;

use crate::azurite::{ACCOUNT, Azurite, KEY};

const VERSION: &str = "2022-11-02";
const EXPIRY: &str = "2099-01-01T00:00:00Z";

/// The query of a signature that allows `permissions` on blobs and queues.
pub fn account_signature(permissions: &str) -> String {
    let text = format!("{ACCOUNT}\n{permissions}\nbq\nsco\n\n{EXPIRY}\n\n\n{VERSION}\n\n");
    let mut mac = Hmac::<Sha256>::new_from_slice(&STANDARD.decode(KEY).unwrap()).unwrap();
    mac.update(text.as_bytes());
    let signature = STANDARD.encode(mac.finalize().into_bytes());
    let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    format!("sv={VERSION}&ss=bq&srt=sco&sp={permissions}&se={}&sig={}", encoded(EXPIRY), encoded(&signature))
}

/// Everything that the store needs.
pub const ALL: &str = "rwdlacup";

/// A connection string that holds a signature and no key.
pub fn connection_string(azurite: &Azurite, permissions: &str) -> String {
    let (blob, queue) = (azurite.blob_endpoint(), azurite.queue_endpoint());
    let signature = account_signature(permissions);
    format!("BlobEndpoint={blob};QueueEndpoint={queue};SharedAccessSignature={signature}")
}

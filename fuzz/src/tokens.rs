use std::sync::LazyLock;

use axum::http::{HeaderMap, HeaderValue, Uri, header};
use jiff::Timestamp;
use keymend::azure::caller;
use keymend::azure::entra::Tenant;
use keymend::domain::incident::IncidentId;
use keymend::notify::secret::Secret;
use keymend::notify::signed_link::{Claim, LinkKeys};
use keymend::web::Callers;
use keymend::web::callers::{HowTokens, TokenRules, Trusted};
use keymend::web::pages::principal::Principal;
use tokio::runtime::Runtime;

const NOW: i64 = 1_795_485_600;
const LINK_SECRET: &str = "a secret of thirty-two bytes or more";

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime"));
static CALLERS: LazyLock<Callers> = LazyLock::new(|| {
    let tenant = "99999999-8888-7777-6666-555555555555".parse().expect("an id");
    let trusted = Trusted {
        name: "Action Groups",
        app: "461e8683-5575-4561-ac7f-899cc907d62a".to_owned(),
        role: "ActionGroupsSecureWebhook".to_owned(),
    };
    let rules = TokenRules {
        // Nobody listens there, so no key is ever known: whatever comes is signed by nobody.
        tenant: Tenant::new(tenant, keymend::azure::Cloud::Public, Some("http://127.0.0.1:9")).expect("a tenant"),
        audiences: vec!["api://keymend".to_owned()],
        callers: vec![trusted],
    };
    Callers::knowing_or_by_token(["a-secret-that-nobody-tells"], rules, HowTokens::default())
});
static KEYS: LazyLock<LinkKeys> =
    LazyLock::new(|| LinkKeys::new(&[Secret::new(LINK_SECRET)]).expect("the secret is long enough"));

fn now() -> Timestamp {
    Timestamp::from_second(NOW).expect("a moment")
}

/// A token of Entra, a principal of App Service, a link: first as it is, then as the head and claims of a token (two JSON texts,
/// divided by a line end), and as changes to a link that is good.
pub fn tokens(bytes: &[u8]) {
    nobody_is_let_in(bytes);
    let _ = Principal::read(bytes);
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = caller::claims(text);
        assert!(KEYS.read(text, now()).is_err(), "nobody can make a link: {text}");
    }
    made(bytes);
    changed(bytes);
}

/// By no `Authorization` header whatever: nobody signed anything here.
fn nobody_is_let_in(token: &[u8]) {
    let Ok(value) = HeaderValue::from_bytes(&[b"Bearer ", token].concat()) else { return };
    let headers = HeaderMap::from_iter([(header::AUTHORIZATION, value)]);
    let admitted = RUNTIME.block_on(CALLERS.admit(&headers, &Uri::from_static("/api/alerts"), now()));
    assert!(admitted.is_err(), "{admitted:?}");
}

fn made(bytes: &[u8]) {
    let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else { return };
    let parts = [&bytes[..end], &bytes[end + 1..]].map(encode);
    for signature in ["", "AAAA", &"A".repeat(342)] {
        nobody_is_let_in(format!("{}.{}.{signature}", parts[0], parts[1]).as_bytes());
    }
}

/// A good link, with bytes put in place of some of its own: it is no longer one, or says the same.
fn changed(bytes: &[u8]) {
    let claim = Claim::link(&IncidentId("km-20261124-0207-7f3k".to_owned()), Some("00ff"), now());
    let good = KEYS.sign(&claim);
    let mut link = good.clone().into_bytes();
    for pair in bytes.chunks_exact(2).take(16) {
        let at = usize::from(pair[0]) % link.len();
        link[at] = pair[1];
    }
    let Ok(link) = String::from_utf8(link) else { return };
    if let Ok(read) = KEYS.read(&link, now()) {
        assert_eq!(read, claim, "{link}");
        // The last character of base64 may hold bits that mean nothing.
        assert_eq!(link[..link.len() - 1], good[..good.len() - 1]);
    }
}

fn encode(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let bits = three.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        for letter in 0..=three.len() {
            text.push(char::from(LETTERS[(bits >> (18 - 6 * letter)) as usize & 63]));
        }
    }
    text
}

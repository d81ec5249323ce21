//! Whether a form was sent from a page of ours.

use axum::http::{HeaderMap, header};
use url::Url;

use crate::web::local::speaks_for_itself;

/// Whether a browser says that the form stood on a page of this very origin. Programs that say nothing are no browsers, and
/// `null` is a page that hides where it is.
#[must_use]
pub(super) fn is_ours(headers: &HeaderMap, public: Option<&Url>) -> bool {
    let mut sent = headers.get_all(header::ORIGIN).iter();
    let (Some(origin), None) = (sent.next(), sent.next()) else { return false };
    let Some(origin) = origin.to_str().ok().filter(|origin| !origin.eq_ignore_ascii_case("null")) else {
        return false;
    };
    let site = headers.get("sec-fetch-site").is_none_or(|site| site == "same-origin");
    site && ours(headers, public).iter().any(|ours| ours.eq_ignore_ascii_case(origin))
}

/// The public address, and on this machine the one by which it was called.
fn ours(headers: &HeaderMap, public: Option<&Url>) -> Vec<String> {
    let public = public.map(|url| url.origin().ascii_serialization());
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let here = host.filter(|_| speaks_for_itself(headers)).map(|host| format!("http://{host}"));
    public.into_iter().chain(here).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ours_with(headers: &[(&'static str, &str)], public: Option<&str>) -> bool {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        is_ours(&map, public.map(|url| url.parse().unwrap()).as_ref())
    }

    #[test]
    fn only_our_own_pages_send_forms() {
        let app = Some("https://app.azurewebsites.net");
        let host = ("host", "app.azurewebsites.net");
        assert!(ours_with(&[host, ("origin", "https://app.azurewebsites.net")], app));
        assert!(ours_with(&[("host", "localhost:8080"), ("origin", "http://localhost:8080")], None));
        let same = ("sec-fetch-site", "same-origin");
        assert!(ours_with(&[host, ("origin", "https://app.azurewebsites.net"), same], app));
        for bad in [
            vec![host],
            vec![host, ("origin", "null")],
            vec![host, ("origin", "https://evil.example")],
            vec![host, ("origin", "http://app.azurewebsites.net")],
            vec![host, ("origin", "https://app.azurewebsites.net.evil.example")],
            vec![host, ("origin", "https://app.azurewebsites.net"), ("sec-fetch-site", "cross-site")],
            vec![host, ("origin", "https://app.azurewebsites.net"), ("origin", "https://evil.example")],
        ] {
            assert!(!ours_with(&bad, app), "{bad:?}");
        }
        // A name that leads here by somebody else's DNS is not believed.
        assert!(!ours_with(&[("host", "evil.example"), ("origin", "http://evil.example")], None));
        let proxied = [("host", "localhost:1"), ("origin", "http://localhost:1"), ("x-forwarded-for", "1.2.3.4")];
        assert!(!ours_with(&proxied, None));
    }
}

use keymend::settings::Settings;

/// Stands in every variable that holds a secret: must not come out anywhere.
const SECRET: &str = "canary-7f3k9q-of-thirty-two-bytes-and-more";

/// `keymend.toml`.
pub fn settings(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    // A path of the fuzzer's is not to be opened.
    if text.contains("_file") {
        return;
    }
    let holds_secret =
        |name: &str| ["SECRET", "TOKEN", "PASSWORD", "_KEY", "KEYS"].iter().any(|part| name.contains(part));
    let shown = match Settings::from_text("keymend.toml", text, &|name| holds_secret(name).then(|| SECRET.to_owned())) {
        Ok(settings) => format!("{settings:?}"),
        Err(problems) => {
            assert!(!problems.list.is_empty(), "a refusal says why");
            format!("{problems} {problems:?}")
        }
    };
    assert!(!shown.contains("canary-7f3k9q"), "{shown}");
}

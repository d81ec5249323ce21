use keymend::domain::key_uri::{KeyUri, VaultHost};
use keymend::domain::resource_id::ResourceId;

/// A resource id or a key's address; divided by line ends, an id and names of what may lie below it.
pub fn ids(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let mut lines = text.split('\n');
    let first = lines.next().unwrap_or_default();
    if let Ok(read) = ResourceId::parse(first) {
        id(&read);
        for name in lines {
            child(&read, name);
        }
    }
    if let Some(key) = KeyUri::parse(first) {
        assert_eq!(KeyUri::parse(&key.to_string()).as_ref(), Some(&key), "what is printed reads the same");
        assert!(key.same_key(&key.versionless()));
        let url = key.to_string();
        let host = url.strip_prefix("https://").and_then(|rest| rest.split('/').next());
        assert_eq!(host, Some(key.vault.as_str()), "nothing stands before the host");
        assert!(!url.contains(['?', '#', '@', '%', '\\', ' ']) && !url.contains(".."), "{url}");
        assert!(VaultHost::parse(key.vault.as_str()).is_some());
    }
}

/// An id that was read: it can be put into a URL, and each part of it is one segment there.
pub fn id(id: &ResourceId) {
    let text = id.as_str();
    assert_eq!(ResourceId::parse(text).as_ref(), Ok(id), "what is printed reads the same");
    assert_eq!(ResourceId::parse(id.key()).as_ref(), Ok(id), "and so does its key");
    assert!(text.starts_with('/') && !text.contains(['?', '#', '%', '\\', '\n', ' ']), "{text}");
    assert!(!text.split('/').skip(1).any(|part| ["", ".", ".."].contains(&part)), "{text}");
    assert!(id.contains(id) && !id.subscription().contains('/'));
    for above in [id.sql_server(), id.managed_instance(), id.synapse_workspace(), id.key_vault(), id.database_host()] {
        let Some(above) = above else { continue };
        assert!(above.contains(id), "{above} is above {id}");
        assert_eq!(ResourceId::parse(above.as_str()).as_ref(), Ok(&above));
    }
}

fn child(parent: &ResourceId, name: &str) {
    if let Ok(below) = parent.child("databases", name) {
        assert_eq!(below.as_str(), format!("{parent}/databases/{name}"));
        assert_eq!(below.name(), name, "a child is one part below");
        assert!(parent.contains(&below) && parent != &below);
        id(&below);
    }
}

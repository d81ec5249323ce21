//! What a failed read is taken for.

use proptest::prelude::*;

use super::*;

fn failure(kind: u8) -> Option<Reply> {
    Some(match kind {
        0 => Reply::error(403, "AuthorizationFailed"),
        1 => Reply::error(500, "InternalServerError"),
        2 => Reply::error(429, "TooManyRequests").with("retry-after", "3600"),
        3 => Reply(200, vec![], "<html>".to_owned()),
        4 => Reply(404, vec![], "Not Found".to_owned()),
        5 => Reply::error(404, "SubscriptionNotFound"),
        6 => Reply::json(json!({"value": 7, "data": {}, "properties": []})),
        7 => Reply::error(400, "InvalidApiVersionParameter"),
        _ => return None,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever fails, and however: nothing that is there is called absent, and no more than three waves go out.
    #[test]
    fn failures_are_never_taken_for_absence(kinds in prop::collection::vec(0_u8..14, 16), hinted in any::<bool>(), servers in 1_usize..4) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let asked_for = Question { vault_id: hinted.then(vault_id), ..question(servers) };
        let evidence = runtime.block_on(async move {
            // All requests to one kind of resource fail alike.
            let kind_of = move |asked: &Asked| {
                let last = asked.path.rsplit('/').next().unwrap_or_default().bytes().map(usize::from).sum::<usize>();
                kinds[(last + asked.path.matches('/').count()) % kinds.len()]
            };
            seen(&asked_for, servers, move |asked| failure(kind_of(asked))).await.0
        });
        prop_assert!(evidence.waves <= 3);
        let vault = evidence.vault.as_ref().unwrap();
        prop_assert!(!vault.vault.is_absent(), "{:?}", vault.vault);
        prop_assert!(evidence.keys.iter().all(|key| !key.version.is_absent() && key.exists != Fact::Known(false)));
        for server in &evidence.servers {
            prop_assert!(!server.server.is_absent() && !server.protector.is_absent() && !server.databases.is_absent());
            prop_assert!(server.databases.known().is_none_or(|databases| databases.len() == 2));
            prop_assert!(server.server.known().is_none_or(|server| server.identity.effective().is_some()));
        }
        let principals: Vec<_> = (0..servers).map(|n| principal(server(n).name())).collect();
        let granted = |grants: &Vec<crate::domain::evidence::Grant>| principals.iter().all(|principal| grants.iter().any(|grant| grant.principal_id == *principal));
        let all_servers_read = evidence.servers.iter().all(|server| server.server.known().is_some());
        prop_assert!(!all_servers_read || vault.grants.known().is_none_or(granted), "{:?}", vault.grants);
    }
}

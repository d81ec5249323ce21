//! A chain as it is seen, and what it costs to look.

use super::*;

#[tokio::test]
async fn a_healthy_chain_is_seen_whole() {
    let (evidence, _) = seen(&question(1), 1, |_| None).await;
    let server = &evidence.servers[0];
    let identity = server.server.known().and_then(|server| server.identity.effective()).unwrap();
    assert_eq!(identity.principal_id, principal("contoso-sql"));
    let uri = server.protector.known().and_then(|protector| protector.uri.clone()).unwrap();
    assert_eq!(uri.to_string(), format!("https://contoso-kv.vault.azure.net/keys/tde-key/{VERSION}"));
    assert_eq!(server.linked_keys.known().unwrap()[0].uri.as_ref(), Some(&uri), "by its name, as no uri is listed");
    let databases = server.databases.known().unwrap();
    assert_eq!(databases.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(), ["orders", "billing"]);
    assert_eq!(databases[0].settings["service objective"], "GP_Gen5, capacity 2");
    assert!(!databases[0].settings.contains_key("elastic pool"));
    let vault = evidence.vault.unwrap();
    assert!(vault.vault.known().is_some_and(|vault| vault.rbac && vault.network.trusted_services_bypass));
    assert!(vault.grants.known().unwrap()[0].rights.complete());
    assert_eq!(vault.denials, Fact::Known(vec![]));
    assert_eq!(vault.reachable, Fact::Known(true));
    assert_eq!(evidence.keys.len(), 1);
    let key = evidence.keys[0].version.known().unwrap();
    assert!(key.enabled && key.expires.is_some_and(|end| end > now()));
    assert_eq!(evidence.locks, Fact::Known(vec![]));
    assert_eq!(evidence.changes_read, Fact::Known(()));
    assert!(evidence.waves <= 3);
}

#[tokio::test]
async fn requests_are_counted() {
    for (servers, rbac) in [(1, true), (2, true), (3, true), (40, true), (1, false), (40, false)] {
        let (evidence, cloud) = seen(&question(servers), servers, move |asked| {
            (!rbac && asked.path == vault_id().as_str()).then(|| Reply::json(policy_vault_body()))
        })
        .await;
        let keys = 1;
        let fixed = if servers <= 2 { 4 * servers + keys + 4 } else { 3 * servers + keys + 5 };
        assert_eq!(arm_requests(&cloud), fixed + usize::from(rbac), "{servers} servers: {:#?}", cloud.lines());
        assert!(evidence.waves <= 2, "with the vault known nothing has to wait for a third wave");
        let distinct: BTreeSet<_> =
            cloud.asked().iter().map(|asked| format!("{}?{}", asked.path, asked.query)).collect();
        assert_eq!(distinct.len(), cloud.asked().len(), "nothing is asked twice");
        assert!(cloud.asked().iter().all(|asked| asked.method == "GET"), "{:#?}", cloud.lines());
        assert!(evidence.servers.iter().all(|server| server.server.known().is_some()));
    }
}

#[tokio::test]
async fn a_protector_that_was_just_read_is_not_read_again() {
    let cloud = StandIn::start(|asked, _| healthy(asked, 3)).await;
    let azure = cloud.azure();
    let mut asked_for = question(3);
    for id in &asked_for.servers.clone() {
        let read = protector(&azure, id).await.known().cloned().unwrap();
        asked_for.protectors.insert(id.clone(), read);
    }
    let evidence = observe(&azure, &asked_for).await;
    assert_eq!(cloud.lines().iter().filter(|line| line.ends_with("/encryptionProtector/current")).count(), 3);
    assert!(evidence.keys[0].version.known().is_some());
}

#[tokio::test]
async fn without_hints_three_waves_do() {
    let (evidence, cloud) = seen(&Question::new(vec![server(0)], now()), 1, |_| None).await;
    assert_eq!(evidence.waves, 3);
    let vault = evidence.vault.unwrap();
    assert!(vault.vault.known().is_some() && vault.grants.known().is_some_and(|grants| grants.len() == 1));
    assert!(evidence.keys[0].version.known().is_some());
    assert_eq!(cloud.asked().iter().filter(|asked| asked.method == "POST").count(), 1, "Resource Graph alone");
}

#[tokio::test]
async fn a_server_that_is_not_listed_is_asked_for_before_it_is_called_gone() {
    let (evidence, cloud) = seen(&question(3), 3, |asked| match asked.path.as_str() {
        path if path.ends_with("/servers") => Some(list((0..2).map(|n| server_body(server(n).as_str())))),
        path if path == server(2).as_str() => Some(Reply::error(404, "ResourceNotFound")),
        path if path.starts_with(server(2).as_str()) => Some(Reply::error(404, "ParentResourceNotFound")),
        _ => None,
    })
    .await;
    assert_eq!(evidence.servers[2].server, Fact::Absent);
    assert_eq!(evidence.servers[2].databases, Fact::Absent);
    assert!(evidence.servers[0].server.known().is_some());
    assert_eq!(cloud.lines().iter().filter(|line| line.ends_with("/servers/contoso-sql2")).count(), 1);

    // A reader of one resource group may not list the subscription.
    let (evidence, _) = seen(&question(3), 3, |asked| {
        asked.path.ends_with("/servers").then(|| Reply::error(403, "AuthorizationFailed"))
    })
    .await;
    assert!(evidence.servers.iter().all(|server| server.server.known().is_some()));
}

#[tokio::test]
async fn everything_down_is_all_unknown_and_nothing_absent() {
    let (mut evidence, _) = seen(&question(2), 2, |_| Some(Reply(500, vec![], "<html>".to_owned()))).await;
    let vault = evidence.vault.as_mut().unwrap();
    assert_eq!(std::mem::take(&mut vault.reachable), Fact::Known(false), "server errors are how an outage is seen");
    let text = serde_json::to_string(&evidence).unwrap();
    assert!(!text.contains("\"absent\"") && !text.contains("\"known\""), "{text}");
    let (evidence, _) = seen(&question(2), 2, |_| Some(Reply(404, vec![], "<html>not found</html>".to_owned()))).await;
    let text = serde_json::to_string(&evidence).unwrap();
    assert!(!text.contains("\"absent\""), "a 404 that Azure did not word proves nothing: {text}");
}

#[tokio::test]
async fn verification_costs_one_request_a_server() {
    let cloud = StandIn::start(|asked, _| {
        if asked.path.contains("/contoso-sql1/") { Reply::error(404, "ResourceNotFound") } else { healthy(asked, 3) }
    })
    .await;
    let servers = [server(0), server(1), server(2), server(0)];
    let down = inaccessible(&cloud.azure(), &servers).await;
    assert_eq!(cloud.asked().len(), 3);
    assert_eq!(down[&server(0)], Fact::Known(vec!["orders".to_owned()]));
    assert_eq!(down[&server(1)], Fact::Absent);
}

#[tokio::test]
async fn the_small_questions() {
    let instance =
        || ResourceId::parse(&format!("{SUB}/resourceGroups/r/providers/Microsoft.Sql/managedInstances/mi")).unwrap();
    let cloud = StandIn::start(|asked, _| {
        if asked.path.ends_with("/resources") {
            let rows = [
                json!({"id": server(0).to_string(), "k": "x"}),
                json!({"id": format!("{SUB}/resourceGroups/r/providers/Microsoft.Sql/managedInstances/mi")}),
            ];
            return Reply::json(json!({"data": rows}));
        }
        healthy(asked, 1)
    })
    .await;
    let azure = cloud.azure();
    let read = protector(&azure, &server(0)).await;
    assert_eq!(
        read.known().and_then(|protector| protector.uri.as_ref()).map(|uri: &KeyUri| uri.vault.clone()),
        Some(host())
    );
    assert_eq!(servers_of_vault(&azure, &host(), &["s".to_owned()]).await, Fact::Known(vec![server(0), instance()]));
    assert_eq!(
        servers_of_vault(&azure, &host(), &[]).await,
        Fact::Known(vec![]),
        "no subscription is not every subscription"
    );
    assert_eq!(cloud.asked().len(), 2);
}

#[tokio::test]
async fn no_servers_ask_nothing_about_servers() {
    let (evidence, cloud) = seen(&Question::new(vec![], now()), 1, |_| None).await;
    assert!(evidence.servers.is_empty() && evidence.vault.is_none());
    assert!(cloud.asked().is_empty(), "{:?}", cloud.lines());
}

//! Lists, pages, and the graph.

use keymend::drill::cloud::{Actor, Break, What, World};
use serde_json::{Value, json};

use crate::sky::{SERVER, SUB, Sky, VAULT};

#[tokio::test(flavor = "multi_thread")]
async fn a_long_list_comes_in_pages() {
    let mut world = World::shared_vault(7, 1);
    world.timing.page_size = 3;
    let sky = Sky::new(world).await;
    let mut path = format!("{SUB}/providers/Microsoft.Sql/servers?api-version=2025-01-01");
    let mut names = Vec::new();
    for _ in 0..9 {
        let page = sky.send("GET", &path, None).await;
        names.extend(page.values().iter().map(|server| server["name"].as_str().unwrap().to_owned()));
        let Some(next) = page.body["nextLink"].as_str() else { break };
        path = next.strip_prefix(&sky.running.url()).expect("the next page is at ARM itself").to_owned();
    }
    assert_eq!(names, (1..=7).map(|n| format!("sql-{n:02}")).collect::<Vec<_>>());
    sky.check("pages");
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_may_be_read_is_answered_in_azures_shapes() {
    let mut sky = Sky::new(World::standard().user_assigned()).await;
    for below in [
        "",
        "/databases",
        "/databases/orders",
        "/databases/master",
        "/inaccessibleDatabases",
        "/encryptionProtector",
        "/encryptionProtector/current",
        "/keys",
        "/failoverGroups",
        "/replicationLinks",
        "/databases/orders/replicationLinks",
        "/databases/orders/operations",
        "/databases/orders/backupShortTermRetentionPolicies/default",
        "/databases/orders/backupLongTermRetentionPolicies/default",
    ] {
        assert_eq!(sky.sql("GET", below, None).await.status, 200, "{below}");
    }
    for below in ["", "/keys", "/keys/tde-key", "/keys/tde-key/versions", "/privateEndpointConnections"] {
        assert_eq!(sky.vault("GET", below, None).await.status, 200, "{below}");
    }
    for path in [
        "/resourceGroups/rg-data/providers/Microsoft.Sql/servers?api-version=2025-01-01".to_owned(),
        "/providers/Microsoft.KeyVault/vaults?api-version=2026-02-01".to_owned(),
        "/resourceGroups/rg-keys/providers/Microsoft.KeyVault/vaults?api-version=2026-02-01".to_owned(),
        "/resourceGroups/rg-keys?api-version=2021-04-01".to_owned(),
        "?api-version=2021-04-01".to_owned(),
        "/providers/Microsoft.Authorization/roleDefinitions?api-version=2022-04-01".to_owned(),
        "/resourceGroups/rg-data/providers/Microsoft.ManagedIdentity/userAssignedIdentities?api-version=2024-11-30"
            .to_owned(),
        format!(
            "{SERVER}/databases/orders/providers/Microsoft.ResourceHealth/availabilityStatuses/current?api-version=2025-05-01"
        ),
    ] {
        let reply = sky.arm("GET", &path, None).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.body);
    }
    let protector = sky.sql("GET", "/encryptionProtector/current", None).await;
    assert_eq!(protector.body["properties"]["serverKeyType"], "AzureKeyVault");
    sky.pass(1).await;
    sky.check("reads");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_versionless_protector_tells_which_version_it_uses() {
    let mut world = World::standard();
    world.servers[0].protector.as_mut().unwrap().versionless = true;
    let sky = Sky::new(world).await;
    let protector = sky.sql("GET", "/encryptionProtector/current", None).await;
    assert_eq!(protector.body["properties"]["uri"], "https://contoso-kv.vault.azure.net/keys/tde-key");
    assert_eq!(protector.body["properties"]["keyVersion"].as_str().unwrap().len(), 32);
    sky.check("versionless");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_graph_finds_a_vault_by_name_and_who_changed_it() {
    let mut sky = Sky::new(World::standard()).await;
    let found = sky.graph(
        "resources | where type =~ 'microsoft.keyvault/vaults' and name =~ 'CONTOSO-KV' | project id, location, \
         subscriptionId, tenantId, properties",
    );
    let found = found.await;
    assert_eq!(found.body["data"][0]["id"], format!("{SUB}{VAULT}"));
    let by = Actor::person("ops@contoso.com");
    sky.cloud.break_it(&Break::new(What::FirewallVault { vault: None, ip_rules: None }).by(by));
    let query = format!(
        "resourcechanges | where tolower(tostring(properties.targetResourceId)) == tolower('{SUB}{VAULT}') | extend \
         t=todatetime(properties.changeAttributes.timestamp), who=tostring(properties.changeAttributes.changedBy), \
         what=properties.changes | order by t desc"
    );
    assert_eq!(sky.graph(&query).await.body["count"], 0, "a change shows a little later");
    sky.pass(3).await;
    let changes = sky.graph(&query).await;
    assert_eq!(changes.body["data"][0]["who"], "ops@contoso.com");
    assert!(changes.body["data"][0]["what"]["properties.networkAcls"].is_object());
    let bad = sky.graph("resources | summarise by name").await;
    assert_eq!((bad.status, bad.code()), (400, "BadRequest"));
    sky.check("graph");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_says_who_and_only_after_its_delay() {
    let mut sky = Sky::new(World::standard()).await;
    let by = Actor::person("ops@contoso.com");
    sky.cloud.break_it(&Break::new(What::DeleteVault { vault: None }).by(by));
    let filter = " and resourceGroupName eq 'rg-keys'";
    assert!(sky.log(filter).await.is_empty());
    sky.pass(21).await;
    let entries = sky.log(filter).await;
    let wanted = |entry: &&Value| entry["operationName"]["value"] == "Microsoft.KeyVault/vaults/delete";
    let deletion = entries.iter().filter(wanted).find(|entry| entry["status"]["value"] == "Succeeded").unwrap();
    assert_eq!(deletion["caller"], "ops@contoso.com");
    assert_eq!(deletion["eventTimestamp"], "2026-11-20T10:00:00.0000000Z");
    assert_eq!(deletion["httpRequest"]["method"], "DELETE");
    let bad =
        "/providers/Microsoft.Insights/eventtypes/management/values?api-version=2015-04-01&$filter=caller%20eq%20'x'";
    assert_eq!(sky.arm("GET", bad, None).await.code(), "BadRequest");
    sky.check("log");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_responder_does_is_in_the_log_under_its_own_name() {
    let mut sky = Sky::new(World::standard()).await;
    let body = json!({ "properties": { "networkAcls": { "bypass": "None", "defaultAction": "Deny" } } });
    sky.vault("PATCH", "", Some(body)).await;
    sky.pass(21).await;
    let entries = sky.log(" and resourceGroupName eq 'rg-keys'").await;
    let world = World::standard();
    assert!(entries.iter().any(|entry| entry["caller"] == world.responder.object_id.as_str()
        && entry["claims"]["appid"] == world.responder.app_id.as_str()
        && entry["operationName"]["value"] == "Microsoft.KeyVault/vaults/write"));
}

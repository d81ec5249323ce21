//! One resource, by its id.

use keymend::drill::cloud::{What, World};

use crate::stage::{SUB, Stage};

fn server() -> String {
    format!("{SUB}/resourceGroups/rg-data/providers/Microsoft.Sql/servers/contoso-sql")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_chain_is_drawn_link_by_link() {
    let stage = Stage::open(World::standard()).await;
    let said = stage.keymend(&["diagnose", &server()]).await;
    assert_eq!((said.code, said.err.as_str()), (0, ""), "{}", said.out);
    for link in ["identity", "vault", "firewall", "key", "permission", "databases"] {
        let line = said.out.lines().find(|line| line.contains(&format!("─ {link}")));
        assert!(line.is_some_and(|line| line.contains(" ok ")), "{link}: {}", said.out);
    }
    assert!(!said.out.contains('\u{1b}'), "colours only where there is a terminal");
    let written = stage.cloud.requests().iter().filter(|request| request.effect).count();
    assert_eq!(written, 0, "nothing is changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_link_is_named_with_proof_plan_and_command() {
    let stage = Stage::open(World::standard()).await;
    stage.breaks(What::RevokePermission { server: None });
    let database = format!("{}/databases/orders", server());
    let said = stage.keymend(&["diagnose", &database]).await;
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.out.contains("permission BROKEN"), "{}", said.out);
    assert!(said.out.contains("WHAT KEYMEND WOULD DO NOW"), "{}", said.out);
    assert!(said.out.contains("az role assignment create"), "{}", said.out);
    let first = said.out.lines().find(|line| line.contains("Online") || line.contains("Inaccessible")).unwrap();
    assert!(
        first.contains("orders") && first.contains("asked for"),
        "the database that was named comes first: {}",
        said.out
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_document_holds_the_decision_and_at_most_three_waves() {
    let stage = Stage::open(World::standard()).await;
    stage.breaks(What::RevokePermission { server: None });
    let said = stage.keymend(&["diagnose", &server(), "--json"]).await;
    let document = said.json();
    assert_eq!(said.code, 1);
    assert_eq!(document["schema"], "keymend.diagnose/1");
    assert_eq!(document["verdict"], "broken");
    assert!(document["waves"].as_u64().unwrap() <= 3);
    let chain = &document["chains"][0];
    assert_eq!(chain["diagnosis"]["findings"][0]["cause"], "role_missing");
    assert_eq!(chain["decision"]["decision"], "repair");
    assert!(chain["steps"][0]["command"].as_str().unwrap().starts_with("az role assignment create"));
    // One of them asks who holds geo-secondaries.
    assert!(stage.cloud.requests().len() <= 13, "{}", stage.cloud.requests().len());
}

#[tokio::test(flavor = "multi_thread")]
async fn under_observe_it_says_what_it_would_do() {
    let stage = Stage::open(World::standard()).await;
    stage.settings("[policy]\npreset = \"observe\"");
    stage.breaks(What::RevokePermission { server: None });
    let document = stage.keymend(&["diagnose", &server(), "--json"]).await.json();
    assert_eq!(document["chains"][0]["decision"]["decision"], "observe", "{document:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vault_shows_everything_that_depends_on_it_worst_first() {
    let stage = Stage::open(World::shared_vault(7, 2)).await;
    let ids: Vec<String> = stage.cloud.world()["servers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["name"].as_str().unwrap().to_owned())
        .collect();
    stage.breaks(What::RemoveIdentity { server: Some(ids[6].clone()) });
    let vault = World::shared_vault(7, 2).vault_id(&World::shared_vault(7, 2).vaults[0].name);
    let said = stage.keymend(&["diagnose", &vault, "--json"]).await;
    let document = said.json();
    let chains = document["chains"].as_array().unwrap();
    assert_eq!(chains.len(), 7, "{document:#}");
    assert_eq!(chains[0]["verdict"], "broken");
    assert!(chains[0]["called"].as_str().unwrap().contains(&ids[6]));
    assert!(chains[1..].iter().all(|chain| chain["verdict"] == "whole"), "one broken server breaks no other's chain");
    assert_eq!(said.code, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn out_of_scope_is_read_and_said() {
    let stage = Stage::open(World::standard()).await;
    stage.settings(
        "[scope]\nresources = [\"/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/other\"]",
    );
    let said = stage.keymend(&["diagnose", &server()]).await;
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.out.contains("not in scope"), "{}", said.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_be_read_is_unknown_and_no_success() {
    let stage = Stage::open(World::standard().without_right("Microsoft.KeyVault/vaults/read")).await;
    let said = stage.keymend(&["diagnose", &server()]).await;
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.out.contains("unknown") && said.out.contains("Microsoft.KeyVault/vaults/read"), "{}", said.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_and_what_is_no_id_are_told_apart() {
    let stage = Stage::open(World::standard()).await;
    let gone = stage.keymend(&["diagnose", &format!("{}-gone", server())]).await;
    assert_eq!(gone.code, 1, "{gone:?}");
    assert!(gone.out.contains("does not exist"), "{}", gone.out);
    for wrong in [
        "contoso-sql.database.windows.net",
        "/subscriptions/x",
        "",
        &format!("{SUB}/resourceGroups/rg/providers/Microsoft.Web/sites/a"),
    ] {
        let said = stage.keymend(&["diagnose", wrong]).await;
        assert_eq!((said.code, said.out.as_str()), (2, ""), "{wrong}: {said:?}");
    }
}

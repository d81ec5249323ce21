//! Accepting, taking, dismissing and forgetting signals.

use keymend::domain::resource_id::ResourceId;
use keymend::domain::signal::SignalKind;
use keymend::store::{Accepted, Pruned};

use crate::kit::{Place, at, days, drain, incident, loss, server};

fn accepted(new: usize, repeated: usize) -> Accepted {
    Accepted { new, repeated }
}

pub async fn new_signals_make_one_job_for_each_subject(place: &dyn Place) {
    let store = place.open().await;
    let mut signals = Vec::new();
    for database in 0..400 {
        signals.push(loss(&format!("sql-{}", database % 40), &format!("d{database}"), &format!("e{database}")));
    }
    assert_eq!(store.accept(&signals[..200], at(0)).await.unwrap(), accepted(200, 0));
    assert_eq!(store.accept(&signals[200..], at(1)).await.unwrap(), accepted(200, 0));
    assert_eq!(store.next_due().await.unwrap(), Some(at(0)));
    let mut keys = drain(&*store, 1).await;
    keys.sort();
    let mut expected: Vec<_> = (0..40).map(|n| format!("locate:{}", server(&format!("sql-{n}")).key())).collect();
    expected.sort();
    assert_eq!(keys, expected);
}

pub async fn each_target_is_looked_for_by_its_subject(place: &dyn Place) {
    let store = place.open().await;
    let group = "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/rg-data/providers";
    for (target, subject) in [
        ("Microsoft.Sql/servers/a/databases/d", "Microsoft.Sql/servers/a"),
        ("Microsoft.Sql/servers/b/encryptionProtector/current", "Microsoft.Sql/servers/b"),
        ("Microsoft.Sql/managedInstances/m/databases/d", "Microsoft.Sql/managedInstances/m"),
        (
            "Microsoft.KeyVault/vaults/v/providers/Microsoft.Authorization/roleAssignments/r",
            "Microsoft.KeyVault/vaults/v",
        ),
        ("Microsoft.ManagedIdentity/userAssignedIdentities/i", "Microsoft.ManagedIdentity/userAssignedIdentities/i"),
    ] {
        let mut signal = loss("any", "any", target);
        signal.target = ResourceId::parse(&format!("{group}/{target}")).unwrap();
        store.accept(&[signal], at(0)).await.unwrap();
        let subject = ResourceId::parse(&format!("{group}/{subject}")).unwrap();
        assert_eq!(drain(&*store, 0).await, [format!("locate:{}", subject.key())]);
        assert_eq!(store.untaken_signals(&subject).await.unwrap().len(), 1, "{subject}");
    }
}

pub async fn the_same_event_again_changes_nothing(place: &dyn Place) {
    let store = place.open().await;
    let signal = loss("sql", "orders", "e1");
    assert_eq!(store.accept(&[signal.clone(), signal.clone()], at(0)).await.unwrap(), accepted(1, 1));
    drain(&*store, 0).await;
    let mut worded_otherwise = signal.clone();
    worded_otherwise.text = None;
    worded_otherwise.occurred_at = None;
    let mut naming_the_server = signal.clone();
    naming_the_server.target = server("SQL");
    let again = [signal.clone(), worded_otherwise, naming_the_server];
    assert_eq!(store.accept(&again, at(60)).await.unwrap(), accepted(0, 3));
    assert_eq!(store.next_due().await.unwrap(), None, "a repeated signal asks for no work");
    let untaken = store.untaken_signals(&signal.subject()).await.unwrap();
    let stored: Vec<_> = untaken.into_iter().map(|(_, stored)| stored).collect();
    assert_eq!(stored, std::slice::from_ref(&signal));

    let mut other_kind = signal;
    other_kind.kind = SignalKind::SelfHealEnded;
    assert_eq!(store.accept(&[other_kind], at(61)).await.unwrap(), accepted(1, 0));
}

pub async fn an_event_is_known_for_seven_days(place: &dyn Place) {
    let store = place.open().await;
    let signal = [loss("sql", "orders", "e1")];
    store.accept(&signal, at(0)).await.unwrap();
    assert_eq!(store.accept(&signal, at(0) + days(7)).await.unwrap(), accepted(0, 1));
    assert_eq!(store.accept(&signal, at(1) + days(7)).await.unwrap(), accepted(1, 0));
    assert_eq!(store.accept(&signal, at(1) + days(14)).await.unwrap(), accepted(0, 1));
}

pub async fn signals_without_an_event_id_are_told_apart(place: &dyn Place) {
    let store = place.open().await;
    let mut plain = loss("sql", "orders", "");
    plain.event_id = None;
    let (mut later, mut worded) = (plain.clone(), plain.clone());
    later.occurred_at = Some(at(5));
    worded.text = Some("other words".to_owned());
    let mut other = loss("sql", "billing", "");
    other.event_id = None;
    let all = [plain, later, worded, other];
    assert_eq!(store.accept(&all, at(0)).await.unwrap(), accepted(4, 0));
    assert_eq!(store.accept(&all, at(1)).await.unwrap(), accepted(0, 4));
}

pub async fn untaken_signals_come_in_order_until_they_are_taken(place: &dyn Place) {
    let store = place.open().await;
    for (second, database) in ["c", "a", "b"].into_iter().enumerate() {
        let signal = loss("sql", database, &format!("e-{database}"));
        store.accept(&[signal, loss("other", database, "x")], at(i64::try_from(second).unwrap())).await.unwrap();
    }
    for subject in [server("sql"), server("SQL")] {
        let signals = store.untaken_signals(&subject).await.unwrap();
        let names: Vec<_> = signals.iter().map(|(_, signal)| signal.target.name()).collect();
        assert_eq!(names, ["c", "a", "b"], "asked for {subject}");
    }
    let signals = store.untaken_signals(&server("sql")).await.unwrap();
    store.save(&incident("a", "kv", 0), None, &[], &[signals[0].0.clone()], at(9)).await.unwrap();
    store.dismiss(&[signals[2].0.clone()], at(9)).await.unwrap();
    assert_eq!(store.untaken_signals(&server("sql")).await.unwrap(), [signals[1].clone()]);
    assert_eq!(store.untaken_signals(&server("nobody")).await.unwrap(), []);
}

pub async fn a_dismissed_signal_is_still_known(place: &dyn Place) {
    let store = place.open().await;
    let signal = [loss("sql", "orders", "e1")];
    store.accept(&signal, at(0)).await.unwrap();
    let untaken = store.untaken_signals(&server("sql")).await.unwrap();
    store.dismiss(&[untaken[0].0.clone()], at(1)).await.unwrap();
    assert_eq!(store.accept(&signal, at(2)).await.unwrap(), accepted(0, 1));
    assert_eq!(store.untaken_signals(&server("sql")).await.unwrap(), []);
}

pub async fn nothing_offered_changes_nothing(place: &dyn Place) {
    let store = place.open().await;
    store.accept(&[loss("sql", "orders", "e1")], at(0)).await.unwrap();
    assert_eq!(store.accept(&[], at(0)).await.unwrap(), accepted(0, 0));
    store.dismiss(&[], at(0)).await.unwrap();
    assert_eq!(store.untaken_signals(&server("sql")).await.unwrap().len(), 1, "no ids never means all of them");
}

pub async fn prune_removes_only_what_was_taken_long_ago(place: &dyn Place) {
    let store = place.open().await;
    let many = place.many();
    let (early, late) = (many / 10 * 9, many - 10);
    let signals: Vec<_> = (0..many).map(|n| loss("sql", "orders", &format!("e{n}"))).collect();
    store.accept(&signals, at(0)).await.unwrap();
    let ids: Vec<_> = store.untaken_signals(&server("sql")).await.unwrap().into_iter().map(|(id, _)| id).collect();
    store.dismiss(&ids[..early], at(0)).await.unwrap();
    store.dismiss(&ids[early..late], at(60)).await.unwrap();
    assert_eq!(store.prune(None, at(0) + days(30)).await.unwrap(), Pruned { signals: 0, facts: 0, incidents: 0 });
    assert_eq!(store.prune(None, at(30) + days(30)).await.unwrap(), Pruned { signals: early, facts: 0, incidents: 0 });
    assert_eq!(
        store.prune(None, at(30) + days(4000)).await.unwrap(),
        Pruned { signals: late - early, facts: 0, incidents: 0 }
    );
    assert_eq!(store.untaken_signals(&server("sql")).await.unwrap().len(), 10, "untaken signals stay, however old");
}

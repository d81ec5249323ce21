//! Two live processes on one store never both work: the second waits for the first to end, or gives up.

use std::time::Duration;

use keymend::drill::cloud::Moment;
use keymend::drill::judge::is_write;

use crate::every_request::undisturbed;
use crate::other_moments::until_quick_enough;
use crate::requests::{Request, Trap, named};
use crate::serve::{Serve, keymend};
use crate::stage::Stage;
use crate::story::Story;
use crate::verdict::Ended;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_serve_on_the_store_of_a_live_one_does_not_start() {
    let story = Story::vault_deleted();
    let baseline = undisturbed(&story).await;
    let stage = Stage::open(&story).await;
    let mut command = keymend(stage.folder());
    command.args(["serve", "--listen", "127.0.0.1:0"]);
    let second = Serve::start_as(command);
    stage.break_it();
    let ((code, said, log), ()) = tokio::join!(second.ended(), stage.until_over());
    assert_eq!((code, said.as_str()), (Some(1), ""), "{log}");
    assert!(log.contains("another keymend") && log.contains("keymend.db"), "{log}");
    let ended = stage.conclude().await;
    let faults = ended.faults(Some(&baseline));
    assert!(faults.is_empty(), "the first goes on undisturbed: {}\n{}", faults.join("\n"), ended.logs.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_serve_that_waits_takes_over_when_the_first_is_killed() {
    let story = Story::vault_deleted();
    let baseline = undisturbed(&story).await;
    let writes: Vec<_> = named(&baseline.exchanges).into_iter().filter(|one| one.write).collect();
    let faults = until_quick_enough(async |story: &Story| take_over(story, &writes[0]).await, &baseline).await;
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

async fn take_over(story: &Story, at: &Request) -> Ended {
    let mut stage = Stage::open(story).await;
    let trap = Trap::set(&stage.cloud, at, Moment::After);
    stage.break_it();
    let number = stage.until_sprung(trap).await.expect("the first repair is sent");
    stage.carried_out.push(number);
    let mut second = Serve::start(stage.folder());
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(!second.is_ready(), "it waits while the first lives, whose repair is under way");
    let sent = stage.cloud.requests().into_iter().filter(is_write).count();
    assert_eq!(sent, 1, "and sends nothing");
    let killed_at = stage.kill();
    second.ready().await;
    stage.take_over(second, killed_at);
    stage.until_over().await;
    let ended = stage.conclude().await;
    assert!(ended.took_up(), "{}", ended.logs.join("\n"));
    ended
}

//! Who pastes the README's lines sees what the README shows.

use std::{
    fs,
    process::{Child, Command, Output, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use crate::harness::{host, unique};

/// Printed between the blocks, so that each one's output can be told.
const END: &str = "-- end of block --";
/// How long the whole may take: its loops wait for ever.
const PATIENCE: Duration = Duration::from_mins(2);
/// Where the README expects the host, and who signs up there: a test has a host of its own, and names that nobody has.
const ORIGIN: &str = "http://127.0.0.1:3000";
const PEOPLE: [&str; 2] = ["iris", "felix"];

/// A block of commands, and the block below it that shows what they print.
struct Step {
    commands: String,
    prints: String,
}

#[test]
fn the_readmes_lines_print_what_the_readme_shows() {
    let mut text = fs::read_to_string(host::root().join("README.md")).expect("README.md");
    assert!(text.contains(ORIGIN));
    text = text.replace(ORIGIN, &host::shared().origin);
    for name in PEOPLE {
        // The lines name shell variables for them too.
        text = text.replace(name, &unique(name).replace('.', "_"));
    }
    let steps = steps(&text);
    assert!(steps.len() >= 8, "there are only {} steps", steps.len());

    // One shell for all, as the reader has one.
    let blocks: Vec<String> = steps.iter().map(|step| format!("{}\necho '{END}'", step.commands)).collect();
    let script = blocks.join("\n");
    let mut shell = Command::new("sh");
    shell.args(["-euc", &script]).current_dir(host::root()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let output = output_within(PATIENCE, shell.spawn().expect("a shell"));
    let (printed, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let mut blocks = printed.split(END).map(str::trim);
    for step in &steps {
        assert_eq!(blocks.next(), Some(step.prints.trim()), "after these lines:\n{}\n{errors}", step.commands);
    }
    assert!(output.status.success(), "{errors}");
}

/// What a child printed; it is killed if it takes too long.
fn output_within(patience: Duration, child: Child) -> Output {
    let pid = child.id().to_string();
    let (done, ended) = mpsc::channel::<()>();
    thread::spawn(move || {
        if ended.recv_timeout(patience) == Err(mpsc::RecvTimeoutError::Timeout) {
            // If there is no `kill`, the test is ended from outside.
            let _ = Command::new("kill").arg(pid).status();
        }
    });
    let output = child.wait_with_output().expect("its output");
    drop(done);
    output
}

/// Every `sh` block that a `text` block follows, in their order.
fn steps(markdown: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut commands = None;
    let mut rest = markdown;
    while let Some((_, fence)) = rest.split_once("\n```") {
        let (language, block) = fence.split_once('\n').expect("a block has lines");
        let (content, after) = block.split_once("\n```").expect("a block ends");
        match language {
            "sh" => commands = Some(content.to_owned()),
            "text" => steps.extend(commands.take().map(|commands| Step { commands, prints: content.to_owned() })),
            _ => commands = None,
        }
        rest = after;
    }
    steps
}

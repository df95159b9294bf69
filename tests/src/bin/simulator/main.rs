//! A server of a device platform on this machine, without cloud and account.
//!
//! `simulator thingsboard|losant|watson-iot|placeos [--listen 127.0.0.1:1883] [--script <file>]`
//!
//! It tells what happens, line by line, and takes commands from the prompt, or first from a file: `help` lists them.

use std::{
    env, fs,
    io::{self, BufRead as _, IsTerminal as _},
    process::ExitCode,
};

use mqtt_tests::simulator::{Event, Simulator};

const USAGE: &str = "\
usage: simulator thingsboard|losant|watson-iot|placeos [--listen 127.0.0.1:1883] [--script <file>]

  --listen  address and port; port 0 is any free one
  --script  commands to start with, one a line; then those of standard input are taken: `help` lists them";

struct Arguments {
    platform: String,
    listen: String,
    script: Option<String>,
}

fn main() -> ExitCode {
    if env::args().any(|word| word == "--help" || word == "-h") {
        println!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    let Some(arguments) = arguments(env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn arguments(mut words: impl Iterator<Item = String>) -> Option<Arguments> {
    let mut arguments = Arguments {
        platform: words.next()?,
        listen: "127.0.0.1:1883".into(),
        script: None,
    };
    while let Some(word) = words.next() {
        match word.as_str() {
            "--listen" => arguments.listen = words.next()?,
            "--script" => arguments.script = Some(words.next()?),
            _ => return None,
        }
    }
    Some(arguments)
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn core::error::Error>> {
    let simulator = Simulator::start(&arguments.platform, &arguments.listen)?;
    simulator.listen(tell);
    println!("listening on {}", simulator.address());
    if let Some(script) = &arguments.script {
        let lines =
            fs::read_to_string(script).map_err(|error| format!("cannot read {script}: {error}"))?;
        for line in lines.lines() {
            println!("> {line}");
            obey(&simulator, line)?;
        }
    }
    if io::stdin().is_terminal() {
        println!("`help` lists the commands");
    }
    for line in io::stdin().lock().lines() {
        if let Err(error) = obey(&simulator, &line?) {
            println!("{error}");
        }
    }
    // Without a prompt it serves until it is stopped.
    loop {
        std::thread::park();
    }
}

fn obey(simulator: &Simulator, line: &str) -> Result<(), String> {
    if line.trim().is_empty() || line.starts_with('#') {
        return Ok(());
    }
    let answer = simulator.command(line)?;
    if !answer.is_empty() {
        println!("{answer}");
    }
    Ok(())
}

fn tell(event: &Event) {
    match event {
        Event::Connected { client_id } => println!("connected {client_id}"),
        Event::Refused { client_id, code } => match code {
            Some(code) => println!("refused {client_id} with {code}"),
            None => println!("closed {client_id} at its CONNECT"),
        },
        Event::Subscribed { filter, code } => println!("subscribed {filter}: {code}"),
        Event::Published {
            topic,
            payload,
            qos,
            retain,
        } => {
            let retained = if *retain { ", retained" } else { "" };
            let text = String::from_utf8_lossy(payload);
            println!("published {topic} at {qos:?}{retained}: {text}");
        }
        Event::Acknowledged { topic } => println!("acknowledged {topic}"),
        Event::Note(text) => println!("{text}"),
        Event::Closed { client_id, reason } => println!("closed {client_id}: {reason}"),
    }
}

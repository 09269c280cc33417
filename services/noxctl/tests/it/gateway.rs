//! A gateway that says what a test wants: for answers that a real one gives seldom or never.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    process::Command,
    sync::{Arc, Mutex},
    thread,
};

use serde_json::{Value, json};

use crate::program::noxctl;

/// The one job that it knows.
pub const JOB: &str = "0193a000-0000-7000-8000-000000000001";

/// Serves `answer`, which is given a method, a path, and how often this pair was asked for before; it
/// gives a status and a body.
pub struct Gateway {
    url: String,
    bodies: Arc<Mutex<Vec<String>>>,
    addresses: Arc<Mutex<Vec<String>>>,
}

impl Gateway {
    pub fn start(answer: impl Fn(&str, &str, usize) -> (u16, Value) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let bodies = Arc::new(Mutex::new(Vec::new()));
        let read = bodies.clone();
        let addresses = Arc::new(Mutex::new(Vec::new()));
        let seen = addresses.clone();
        thread::spawn(move || {
            let mut asked = Vec::new();
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let Some((line, body)) = request(&stream) else { continue };
                if !body.is_empty() {
                    read.lock().unwrap().push(body);
                }
                seen.lock().unwrap().extend(line.split(' ').nth(1).map(str::to_owned));
                let mut words = line.split([' ', '?']);
                let request = [words.next(), words.next()].map(|word| word.unwrap().to_owned());
                let before = asked.iter().filter(|other| **other == request).count();
                let (status, body) = answer(&request[0], &request[1], before);
                asked.push(request);
                let body = body.to_string();
                let length = body.len();
                let head = format!("HTTP/1.1 {status} X\r\nconnection: close\r\n");
                let answer = format!("{head}content-length: {length}\r\n\r\n{body}");
                // Whoever asked may have gone.
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        Self { url, bodies, addresses }
    }

    /// What it was asked for, with queries.
    pub fn addresses(&self) -> Vec<String> {
        self.addresses.lock().unwrap().clone()
    }

    /// The bodies that were sent to it.
    pub fn bodies(&self) -> Vec<String> {
        self.bodies.lock().unwrap().clone()
    }

    /// `noxctl` that asks it.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = noxctl();
        command.args(words).env("NOX_URL", &self.url).env("NOX_TOKEN", "x");
        command
    }
}

/// Reads a request; returns its first line and its body.
fn request(stream: &TcpStream) -> Option<(String, String)> {
    let mut lines = BufReader::new(stream);
    let mut first = String::new();
    lines.read_line(&mut first).ok().filter(|length| *length > 0)?;
    let mut length = 0;
    loop {
        let mut line = String::new();
        lines.read_line(&mut line).ok()?;
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    lines.read_exact(&mut body).ok()?;
    Some((first, String::from_utf8(body).unwrap()))
}

/// The job, as `state`, with `words` wherever somebody else chose them.
pub fn job(state: &str, words: &str) -> Value {
    json!({
        "id": JOB, "job_id": JOB, "module": words, "user_id": words, "state": state, "attempt": 1,
        "priority": 5, "waiting": null, "outputs": null, "worker_id": words,
        "error": if state == "failed" { json!({"code": "exit_status", "message": words}) } else { Value::Null },
        "created_at": "2026-11-26T00:00:00Z", "started_at": "2026-11-26T00:00:01Z",
        "ended_at": if state == "failed" { json!("2026-11-26T00:00:02Z") } else { Value::Null },
    })
}

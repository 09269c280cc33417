//! A user of the API: a token, connections that are kept, and a record of what was asked and heard.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use nox_contract::{FrameNumber, JobId, TenantId, UserId};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::recorder::{Ask, Heard, Identity, Recorder, Submit};

/// Longer than a gateway ever takes to say that it does not know.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);

/// A token for `claims`, valid for an hour unless they say otherwise.
pub fn token(secret: &str, claims: Value) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let mut all = json!({"iat": now, "exp": now + 3_600});
    if let (Value::Object(all), Value::Object(claims)) = (&mut all, claims) {
        all.extend(claims);
    }
    let key = EncodingKey::from_secret(secret.as_bytes());
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), &all, &key).expect("claims are JSON")
}

/// What a gateway said.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: reqwest::header::HeaderMap,
    /// `null` where the body is no JSON.
    pub body: Value,
}

impl Answer {
    /// The problem's code; empty where it is none.
    pub fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }

    fn job(&self) -> Option<JobId> {
        self.body["job_id"].as_str()?.parse().ok()
    }

    fn n(&self) -> Option<FrameNumber> {
        self.body["n"].as_u64().map(FrameNumber)
    }
}

/// One user, who may ask any of the gateways.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    gateways: Vec<String>,
    token: String,
    tenant: TenantId,
    user: UserId,
    recorder: Recorder,
    /// Answers that should never be given, over all clients of the recorder.
    internal_errors: Arc<AtomicU64>,
}

impl Client {
    pub fn new(
        gateways: Vec<String>,
        token: String,
        tenant: TenantId,
        user: UserId,
        recorder: Recorder,
        internal_errors: Arc<AtomicU64>,
    ) -> Self {
        let http = reqwest::Client::builder()
            .timeout(ANSWER_WITHIN)
            .build()
            .expect("there is nothing to go wrong");
        Self { http, gateways, token, tenant, user, recorder, internal_errors }
    }

    pub fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    pub fn user(&self) -> &UserId {
        &self.user
    }

    pub fn token(&self) -> &str {
        &self.token
    }

    /// The address of a gateway.
    pub fn url(&self, gateway: usize, path: &str) -> String {
        format!("{}{path}", self.gateways[gateway % self.gateways.len()])
    }

    /// A request that this user is about to make.
    pub fn request(&self, gateway: usize, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, self.url(gateway, path)).bearer_auth(&self.token)
    }

    /// Sends a request as it is.
    ///
    /// # Errors
    /// There was no answer: nobody knows what was done.
    pub async fn send(&self, request: reqwest::RequestBuilder) -> Result<Answer, String> {
        let answer = request.send().await.map_err(|error| format!("{error:?}"))?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let text = answer.text().await.map_err(|error| format!("{error:?}"))?;
        if status == StatusCode::INTERNAL_SERVER_ERROR {
            self.internal_errors.fetch_add(1, Ordering::Relaxed);
            eprintln!("500: {text}");
        }
        let body = serde_json::from_str(&text).unwrap_or_default();
        Ok(Answer { status, headers, body })
    }

    pub async fn get(&self, gateway: usize, path: &str) -> Result<Answer, String> {
        self.send(self.request(gateway, Method::GET, path)).await
    }

    pub async fn post(&self, gateway: usize, path: &str, body: &Value) -> Result<Answer, String> {
        self.send(self.request(gateway, Method::POST, path).json(body)).await
    }

    /// Submits one job, with a key or with the `mark` that its inputs have.
    pub async fn submit(&self, gateway: usize, body: &Value, key: Option<&str>) -> Heard {
        let pending = self.recorder.invoke(self.ask(body, key));
        let mut request = self.request(gateway, Method::POST, "/jobs").json(body);
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        let heard = match self.send(request).await {
            Ok(answer) => admitted(answer.status, &answer.body),
            Err(why) => Heard::Unknown { why },
        };
        self.recorder.heard(pending, heard.clone());
        heard
    }

    /// Submits many jobs at once; with a key, each has its own place in it.
    pub async fn submit_bulk(
        &self,
        gateway: usize,
        bodies: &[Value],
        key: Option<&str>,
    ) -> Vec<Heard> {
        let keys: Vec<_> =
            (0..bodies.len()).map(|i| key.map(|key| format!("{key}\n{i}"))).collect();
        let pending: Vec<_> = bodies
            .iter()
            .zip(&keys)
            .map(|(body, key)| self.recorder.invoke(self.ask(body, key.as_deref())))
            .collect();
        let mut request = self.request(gateway, Method::POST, "/jobs/batch");
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        let answer = self.send(request.json(&json!({"jobs": bodies, "atomic": false}))).await;
        let heard: Vec<Heard> = (0..bodies.len())
            .map(|place| match &answer {
                Ok(answer) if answer.status == StatusCode::OK => {
                    let one = &answer.body["jobs"][place];
                    match (&one["accepted"], &one["problem"]) {
                        (accepted @ Value::Object(_), _) => {
                            admitted(StatusCode::ACCEPTED, accepted)
                        }
                        (_, problem) => {
                            let status = problem["status"].as_u64().unwrap_or(500);
                            let status = u16::try_from(status).unwrap_or(500);
                            let status = StatusCode::from_u16(status);
                            admitted(status.unwrap_or(StatusCode::BAD_GATEWAY), problem)
                        }
                    }
                }
                Ok(answer) => admitted(answer.status, &answer.body),
                Err(why) => Heard::Unknown { why: why.clone() },
            })
            .collect();
        for (pending, heard) in pending.into_iter().zip(&heard) {
            self.recorder.heard(pending, heard.clone());
        }
        heard
    }

    pub async fn cancel(&self, gateway: usize, job: JobId) -> Heard {
        let pending = self.recorder.invoke(Ask::Cancel { tenant: self.tenant.clone(), job });
        let path = format!("/jobs/{job}/cancel");
        let heard = match self.send(self.request(gateway, Method::POST, &path)).await {
            Ok(answer) if answer.status.is_success() => Heard::Canceled { n: answer.n() },
            Ok(answer) => refused(answer.status, &answer.body),
            Err(why) => Heard::Unknown { why },
        };
        self.recorder.heard(pending, heard.clone());
        heard
    }

    /// Reads one job, no older than frame `min_n`.
    pub async fn read(&self, gateway: usize, job: JobId, min_n: Option<FrameNumber>) -> Heard {
        let ask = Ask::Read { tenant: self.tenant.clone(), job, min_n };
        let pending = self.recorder.invoke(ask);
        let path = match min_n {
            Some(n) => format!("/jobs/{job}?n={n}"),
            None => format!("/jobs/{job}"),
        };
        let heard = match self.get(gateway, &path).await {
            Ok(answer) if answer.status == StatusCode::OK => {
                let state = answer.body["state"].as_str().and_then(|state| state.parse().ok());
                match (answer.n(), state) {
                    (Some(n), Some(state)) => Heard::Seen { n, state },
                    _ => Heard::Unknown { why: format!("shows no job: {}", answer.body) },
                }
            }
            Ok(answer) if answer.status == StatusCode::NOT_FOUND => Heard::NotFound,
            Ok(answer) => refused(answer.status, &answer.body),
            Err(why) => Heard::Unknown { why },
        };
        self.recorder.heard(pending, heard.clone());
        heard
    }

    fn ask(&self, body: &Value, key: Option<&str>) -> Ask {
        let identity = match (key, body["inputs"]["mark"].as_str()) {
            (Some(key), _) => Identity::Key(key.to_owned()),
            (None, Some(mark)) => Identity::Mark(mark.to_owned()),
            (None, None) => panic!("a submit without key or mark cannot be found in the log"),
        };
        let (tenant, user) = (self.tenant.clone(), self.user.clone());
        Ask::Submit(Submit { tenant, user, identity })
    }
}

/// What an answer to a submit says.
fn admitted(status: StatusCode, body: &Value) -> Heard {
    if status != StatusCode::ACCEPTED {
        return refused(status, body);
    }
    let answer = Answer { status, headers: Default::default(), body: body.clone() };
    match answer.job() {
        Some(job) => Heard::Admitted { job, n: answer.n() },
        None => Heard::Unknown { why: format!("names no job: {body}") },
    }
}

/// A server's own trouble says nothing of what was done.
fn refused(status: StatusCode, body: &Value) -> Heard {
    let code = body["code"].as_str().unwrap_or_default().to_owned();
    if status.is_server_error() {
        return Heard::Unknown { why: format!("{status} {code}") };
    }
    Heard::Refused { status: status.as_u16(), code }
}

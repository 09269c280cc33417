//! Signatures, as Standard Webhooks 1.0 has them.

use aws_lc_rs::hmac;
use base64::{Engine, prelude::BASE64_STANDARD};
use nox_contract::{DeliveryId, Timestamp, WebhookId, WebhookKey, WebhookSecret};
use nox_readmodel::outbox::StoredTarget;

/// The headers of an attempt that is made `now`: with each secret that counts at that time, the newest first.
pub(crate) fn headers(
    key: &WebhookKey,
    (id, webhook): (WebhookId, &StoredTarget),
    delivery: DeliveryId,
    now: Timestamp,
    body: &str,
) -> Vec<(&'static str, String)> {
    let seconds = now.as_micros().div_euclid(1_000_000);
    let signed = format!("{delivery}.{seconds}.{body}");
    let both = webhook.previous_until.is_some_and(|until| now < until);
    let oldest = webhook.rotation.saturating_sub(u32::from(both));
    let signatures: Vec<_> = (oldest..=webhook.rotation)
        .rev()
        .map(|rotation| {
            let secret = WebhookSecret::compute(key, &webhook.tenant, id, rotation);
            let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
            format!("v1,{}", BASE64_STANDARD.encode(hmac::sign(&key, signed.as_bytes())))
        })
        .collect();
    vec![
        ("webhook-id", delivery.to_string()),
        ("webhook-timestamp", seconds.to_string()),
        ("webhook-signature", signatures.join(" ")),
    ]
}

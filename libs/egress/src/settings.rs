//! What an operator says of where webhooks may go.

use crate::{address::Block, target::Rules};

/// Where webhooks may go: flags, or the environment. The same for gateways, which look at URLs when they are set, and
/// for the notifier, which looks at every request.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct WebhookRules {
    /// Blocks of addresses that are let in although they are not on the Internet, such as `10.1.2.0/24`, with commas
    /// between.
    #[arg(long = "webhook-allow", env = "NOX_WEBHOOK_ALLOW", value_delimiter = ',')]
    pub allow: Vec<Block>,
    /// Whether `http://` is let in as well as `https://`.
    #[arg(long = "webhook-http", env = "NOX_WEBHOOK_HTTP", default_value_t = false,
          action = clap::ArgAction::Set)]
    pub plain_http: bool,
    /// The only ports, with commas between; any, if not set.
    #[arg(long = "webhook-ports", env = "NOX_WEBHOOK_PORTS", value_delimiter = ',')]
    pub ports: Vec<u16>,
}

impl WebhookRules {
    pub fn rules(&self) -> Rules {
        let Self { allow, plain_http, ports } = self.clone();
        Rules { allow, plain_http, ports, unchecked: false }
    }
}

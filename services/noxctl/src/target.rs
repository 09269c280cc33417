//! Which system a command is for: what flags and environment name, else the development system whose
//! data folder is here.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Result;
use nox_contract::{TenantId, UserId};
use nox_service::{Clock, Secret};

use crate::{
    client::{Client, ClientError},
    home::{self, Place},
    token::{By, Grant},
    token_source::TokenSource,
};

/// Who a development system's own user is.
pub const DEV_USER: &str = "dev";
/// Its administrator.
pub const DEV_ADMIN: &str = "admin";

/// For the one command that it is made for.
const TOKEN_LIFETIME: Duration = Duration::from_secs(300);

/// Where help lists what every command understands.
pub const GLOBAL: &str = "Global options";

/// What every command can be told about where to go.
#[derive(Debug, Clone, clap::Args)]
pub struct Target {
    /// The gateway; that of the development system in the data folder, if not given.
    #[arg(long, global = true, help_heading = GLOBAL, env = "NOX_URL")]
    pub url: Option<String>,

    /// Who asks; with a development system its own user, if not given.
    #[arg(long, global = true, help_heading = GLOBAL, env = "NOX_TOKEN", hide_env_values = true)]
    pub token: Option<Secret>,

    /// A file with the token; read again when that has ended.
    #[arg(long, global = true, help_heading = GLOBAL, env = "NOX_TOKEN_FILE", value_name = "FILE")]
    pub token_file: Option<PathBuf>,

    /// A line of shell that prints the token; run again when that has ended.
    #[arg(long, global = true, help_heading = GLOBAL, env = "NOX_TOKEN_COMMAND", value_name = "LINE")]
    pub token_command: Option<String>,

    /// The data folder of a development system; `.nox/data` here or in a folder above, if not given.
    #[arg(long, global = true, help_heading = GLOBAL, env = "NOX_DATA")]
    pub data: Option<PathBuf>,
}

impl Target {
    /// # Errors
    /// The address or the folder has a character that is there by mistake, and that nobody would see
    /// in any message about it.
    pub fn check(&self) -> Result<(), ClientError> {
        let folder = self.data.as_ref().map(|data| data.to_string_lossy());
        for (what, text) in [
            ("NOX_URL (or --url)", self.url.as_deref()),
            ("NOX_DATA (or --data)", folder.as_deref()),
        ] {
            let mut characters = text.unwrap_or_default().chars().zip(1..);
            if let Some((character, place)) = characters.find(|(c, _)| c.is_control()) {
                return Err(ClientError::Control { what, character, place });
            }
        }
        Ok(())
    }

    pub fn folder(&self) -> PathBuf {
        home::folder(self.data.as_deref())
    }

    /// A client for requests that need a token.
    ///
    /// # Errors
    /// There is no address, or no token.
    pub fn client(&self) -> Result<Client> {
        self.client_of(DEV_USER, false)
    }

    /// The same for requests that an administrator alone may make.
    pub fn admin_client(&self) -> Result<Client> {
        self.client_of(DEV_ADMIN, true)
    }

    fn client_of(&self, user: &'static str, admin: bool) -> Result<Client> {
        let url = self.gateway()?;
        let source = match self.named_token() {
            Some(source) => source,
            // A token of the development system is for that system, and for no other address.
            None if self.url.is_some() => return Err(ClientError::NoToken.into()),
            None => TokenSource::Own { folder: self.folder(), user, admin },
        };
        Client::with_source(&url, source)
    }

    /// The token that flags or environment name; what is set to nothing names nothing.
    fn named_token(&self) -> Option<TokenSource> {
        let fixed = self.token.clone().filter(|token| !token.reveal().is_empty());
        let file = self.token_file.clone().filter(|file| !file.as_os_str().is_empty());
        let command = self.token_command.clone().filter(|line| !line.is_empty());
        let fixed = fixed.map(TokenSource::Fixed);
        fixed.or(file.map(TokenSource::File)).or(command.map(TokenSource::Command))
    }

    /// A client for requests that need none.
    pub fn open_client(&self) -> Result<Client> {
        match self.named_token() {
            Some(source) => Client::with_source(&self.gateway()?, source),
            None => Ok(Client::new(&self.gateway()?, None)?),
        }
    }

    /// Where the development system was last found.
    pub fn place(&self) -> Result<Place> {
        let folder = self.folder();
        home::place(&folder)?.ok_or_else(|| {
            ClientError::NoSystem(format!(
                "no system: set NOX_URL, or start one with `noxctl dev` ({} has none)",
                folder.display()
            ))
            .into()
        })
    }

    fn gateway(&self) -> Result<String> {
        match &self.url {
            Some(url) => Ok(url.clone()),
            None => Ok(self.place()?.url),
        }
    }
}

/// A token of the development system in `folder`, for one command or for as long as it lasts.
pub fn own_token(folder: &Path, user: &str, admin: bool) -> Result<String> {
    let secret = home::jwt_secret(folder)?.ok_or(ClientError::NoToken)?;
    grant(user, admin, TOKEN_LIFETIME)?.sign(&secret, Clock::system().wall())
}

/// What a development system's own user, or its administrator, may do.
pub fn grant(user: &str, admin: bool, lifetime: Duration) -> Result<Grant> {
    Ok(Grant {
        user: UserId::new(user)?,
        tenant: TenantId::new(TenantId::DEFAULT)?,
        role: if admin { "admin" } else { "user" }.to_owned(),
        lifetime,
        by: By::usual(),
    })
}

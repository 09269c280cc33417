//! What tokens and keys are held to beyond the signature itself, by name (RFC 8725, 7515, 7517, 7519).

/// Why a token is refused. For our own log: from outside all of them look the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Rule {
    /// There is one `Authorization` header, with one bearer token in it.
    #[error("authorization header")]
    Bearer,
    #[error("length")]
    Length,
    /// Three parts with dots between.
    #[error("shape")]
    Shape,
    /// Each part is base64 of the URL's alphabet, without padding.
    #[error("encoding")]
    Encoding,
    /// Header and claims are JSON objects.
    #[error("json")]
    Json,
    /// Two readers of one token must not see two different tokens.
    #[error("a member stands there twice")]
    Doubled,
    /// Members that are read have the types that they ought to have.
    #[error("type of a member")]
    Type,
    /// Nothing in the header changes what a signature means, or brings its own key along.
    #[error("header member")]
    Header,
    /// Tokens of other kinds, signed with the same key for something else, are no access tokens.
    #[error("typ")]
    Kind,
    /// A key's name is a name.
    #[error("kid")]
    KeyName,
    /// The key that the token names is one of ours, or there is only one that it can mean.
    #[error("no such key")]
    Key,
    /// A key is for one algorithm, whatever the token says.
    #[error("alg")]
    Algorithm,
    #[error("signature")]
    Signature,
    #[error("iss")]
    Issuer,
    #[error("aud")]
    Audience,
    #[error("nbf")]
    NotBefore,
    #[error("iat")]
    IssuedAt,
    /// A token has an end.
    #[error("exp")]
    Expiry,
    /// A token can't be taken back, only run out: its end is near.
    #[error("lifetime")]
    Lifetime,
    /// It speaks for somebody whom we can name.
    #[error("sub")]
    Subject,
    /// It speaks for a tenant that can be one.
    #[error("tenant")]
    Tenant,
    /// It does not speak for Nox itself.
    #[error("the system's tenant")]
    SystemTenant,
}

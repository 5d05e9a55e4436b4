//! Server addresses written as URIs: `redis://[[user:]password@][host[:port]][/db]`.
//!
//! Every part but the scheme may be missing. User and password are percent-decoded. An IPv6 address stands between
//! brackets. `rediss`, the scheme for TLS, is recognised and refused.

use std::fmt;

use super::lenient::integer_or_zero;

/// The parts of a URI that were present.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ServerUri {
    /// The ACL user.
    pub user: Option<Vec<u8>>,
    /// The password.
    pub password: Option<Vec<u8>>,
    /// Host name or address, without brackets.
    pub host: Option<String>,
    /// The port as written; whether it is one is for the caller to judge.
    pub port: Option<i64>,
    /// The database.
    pub db: Option<i64>,
}

/// What is wrong with a URI.
#[derive(Debug, PartialEq, Eq)]
pub enum UriError {
    /// The scheme is none that is known.
    Scheme,
    /// The scheme asks for TLS.
    Tls,
    /// A percent sign with nothing behind it.
    IncompleteEncoding,
    /// A percent sign that no two hexadecimal digits follow.
    IllegalEncoding,
}

impl fmt::Display for UriError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            UriError::Scheme => "Invalid URI scheme",
            UriError::Tls => "rediss:// is only supported when redis-cli is compiled with OpenSSL",
            UriError::IncompleteEncoding => "Incomplete URI encoding",
            UriError::IllegalEncoding => "Illegal character in URI encoding",
        })
    }
}

impl std::error::Error for UriError {}

/// Takes a URI apart.
///
/// # Errors
///
/// A [`UriError`]; its texts are the ones that users see.
pub fn parse(uri: &[u8]) -> Result<ServerUri, UriError> {
    let after = |scheme: &[u8]| {
        uri.get(..scheme.len())
            .filter(|start| start.eq_ignore_ascii_case(scheme))
            .map(|_| &uri[scheme.len()..])
    };
    if after(b"rediss://").is_some() {
        return Err(UriError::Tls);
    }
    let mut rest = after(b"redis://").ok_or(UriError::Scheme)?;
    let mut parsed = ServerUri::default();
    if let Some((credentials, behind)) = split_at_byte(rest, b'@') {
        rest = behind;
        let password = match split_at_byte(credentials, b':') {
            Some((user, password)) => {
                parsed.user = Some(percent_decode(user)?);
                password
            }
            None => credentials,
        };
        parsed.password = Some(percent_decode(password)?);
    }
    let (authority, path) = split_at_byte(rest, b'/').unwrap_or((rest, b""));
    if !authority.is_empty() {
        let (host, port) = split_authority(authority);
        parsed.host = Some(String::from_utf8_lossy(host).into_owned());
        parsed.port = port.map(integer_or_zero);
    }
    if !path.is_empty() {
        parsed.db = Some(integer_or_zero(path));
    }
    Ok(parsed)
}

fn split_at_byte(text: &[u8], byte: u8) -> Option<(&[u8], &[u8])> {
    let at = memchr::memchr(byte, text)?;
    Some((&text[..at], &text[at + 1..]))
}

/// Splits `host:port` or `[address]:port`.
fn split_authority(authority: &[u8]) -> (&[u8], Option<&[u8]>) {
    if let Some(bracketed) = authority.strip_prefix(b"[")
        && let Some((address, behind)) = split_at_byte(bracketed, b']')
    {
        return (address, behind.strip_prefix(b":"));
    }
    match split_at_byte(authority, b':') {
        Some((host, port)) => (host, Some(port)),
        None => (authority, None),
    }
}

fn percent_decode(text: &[u8]) -> Result<Vec<u8>, UriError> {
    let digit =
        |byte: u8| (byte as char).to_digit(16).map(|value| value as u8).ok_or(UriError::IllegalEncoding);
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, behind)) = rest.split_first() {
        rest = behind;
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let [high, low, behind @ ..] = rest else {
            let error =
                if rest.is_empty() { UriError::IncompleteEncoding } else { UriError::IllegalEncoding };
            return Err(error);
        };
        decoded.push(digit(*high)? << 4 | digit(*low)?);
        rest = behind;
    }
    Ok(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_parts() {
        let uri = parse(b"redis://me:p%40ss@example.org:7000/3").unwrap();
        assert_eq!(
            uri,
            ServerUri {
                user: Some(b"me".to_vec()),
                password: Some(b"p@ss".to_vec()),
                host: Some("example.org".to_string()),
                port: Some(7000),
                db: Some(3),
            }
        );
    }

    #[test]
    fn parts_may_be_missing() {
        assert_eq!(parse(b"redis://").unwrap(), ServerUri::default());
        assert_eq!(parse(b"REDIS://h").unwrap(), ServerUri { host: Some("h".into()), ..Default::default() });
        assert_eq!(parse(b"redis:///2").unwrap(), ServerUri { db: Some(2), ..Default::default() });
        let uri = parse(b"redis://secret@h").unwrap();
        assert_eq!((uri.user, uri.password), (None, Some(b"secret".to_vec())));
    }

    #[test]
    fn ipv6_stands_between_brackets() {
        let uri = parse(b"redis://[::1]:7000/1").unwrap();
        assert_eq!((uri.host.as_deref(), uri.port, uri.db), (Some("::1"), Some(7000), Some(1)));
        assert_eq!(parse(b"redis://[::1]").unwrap().host.as_deref(), Some("::1"));
    }

    #[test]
    fn bad_uris() {
        assert_eq!(parse(b"http://x"), Err(UriError::Scheme));
        assert_eq!(parse(b"rediss://x"), Err(UriError::Tls));
        assert_eq!(parse(b"redis://a%zz@h"), Err(UriError::IllegalEncoding));
        assert_eq!(parse(b"redis://a%4@h"), Err(UriError::IllegalEncoding));
        assert_eq!(parse(b"redis://a%@h"), Err(UriError::IncompleteEncoding));
    }
}

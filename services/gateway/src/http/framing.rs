//! Line ends of requests: a line feed by itself ends no line of a head.
//!
//! hyper's parser (httparse) takes one for a line end, and has no switch against that; another server in
//! front of us may not, and then the two see different requests (RFC 9112, 2.2). So heads are looked at
//! as they arrive, and such a line feed is made a NUL, which hyper refuses with 400.

/// Longest line of which the name and the value matter here; longer ones are neither of the two.
const LINE_BYTES_MAX: usize = 64;

/// Where in a connection's requests the bytes are that come next.
#[derive(Debug, Default)]
pub struct Framing {
    place: Place,
    /// The byte before.
    before: u8,
    /// The line of a head so far, as far as it matters.
    line: Vec<u8>,
    /// Whether the head has a line already: blank ones before it count for nothing.
    has_begun: bool,
    content_length: Option<u64>,
    is_chunked: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Within a head, or before one.
    #[default]
    Head,
    /// So many bytes of a body are to come.
    Body(u64),
    /// In the line that says how long a chunk is.
    ChunkSize,
    /// So many bytes of a chunk are to come, with the line end behind it.
    Chunk(u64),
    /// In the lines behind the last chunk.
    Trailers,
    /// hyper refuses what stands here, or nothing can be said: nothing is looked at any more.
    Unknown,
}

impl Framing {
    /// Looks at the bytes that came next, and spoils a line feed that ends a line by itself.
    pub fn check(&mut self, bytes: &mut [u8]) {
        let mut at = 0;
        while at < bytes.len() {
            match &mut self.place {
                Place::Unknown => return,
                Place::Body(left) | Place::Chunk(left) => {
                    let rest = (bytes.len() - at) as u64;
                    let taken = (*left).min(rest);
                    *left -= taken;
                    at += usize::try_from(taken).unwrap_or(bytes.len());
                    if *left == 0 {
                        self.place = match self.place {
                            Place::Chunk(_) => Place::ChunkSize,
                            _ => Place::Head,
                        };
                        self.before = 0;
                    }
                }
                Place::Head | Place::ChunkSize | Place::Trailers => {
                    let byte = &mut bytes[at];
                    if *byte == b'\n' && self.before != b'\r' {
                        *byte = 0;
                        self.place = Place::Unknown;
                        return;
                    }
                    self.before = *byte;
                    match *byte {
                        b'\n' => self.line_ends(),
                        b'\r' => {}
                        byte if self.line.len() <= LINE_BYTES_MAX => self.line.push(byte),
                        _ => {}
                    }
                    at += 1;
                }
            }
        }
    }

    fn line_ends(&mut self) {
        let line = std::mem::take(&mut self.line);
        match self.place {
            Place::ChunkSize => self.place = chunk(&line),
            Place::Trailers if line.is_empty() => self.place = Place::Head,
            Place::Head if line.is_empty() && self.has_begun => self.head_ends(),
            Place::Head if !line.is_empty() => {
                self.has_begun = true;
                self.note(&line);
            }
            _ => {}
        }
        // Its room serves the next one.
        self.line = line;
        self.line.clear();
    }

    /// What a line of a head says of the body.
    fn note(&mut self, line: &[u8]) {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { return };
        let (name, value) = (&line[..colon], &line[colon + 1..]);
        if name.eq_ignore_ascii_case(b"transfer-encoding") {
            self.is_chunked = true;
        } else if name.eq_ignore_ascii_case(b"content-length") {
            let value = std::str::from_utf8(value).map(str::trim).unwrap_or_default();
            let is_number = value.bytes().all(|byte| byte.is_ascii_digit());
            match value.parse().ok().filter(|_| is_number) {
                Some(length) if self.content_length.is_none_or(|known| known == length) => {
                    self.content_length = Some(length);
                }
                // Two that differ, or none that is a number: hyper refuses both.
                _ => self.place = Place::Unknown,
            }
        }
    }

    fn head_ends(&mut self) {
        self.has_begun = false;
        let (length, is_chunked) = (self.content_length.take(), self.is_chunked);
        self.is_chunked = false;
        self.place = match length {
            _ if is_chunked => Place::ChunkSize,
            Some(length) if length > 0 => Place::Body(length),
            _ => Place::Head,
        };
    }
}

/// What follows the line that says how long a chunk is.
fn chunk(line: &[u8]) -> Place {
    let size = line.split(|byte| *byte == b';').next().unwrap_or_default();
    let size = std::str::from_utf8(size).map(str::trim).unwrap_or_default();
    match u64::from_str_radix(size, 16).ok().and_then(|size| size.checked_add(2)) {
        Some(2) => Place::Trailers,
        Some(with_line_end) => Place::Chunk(with_line_end),
        None => Place::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is made of the bytes if they arrive in pieces of this size.
    fn checked(bytes: &[u8], piece: usize) -> Vec<u8> {
        let mut framing = Framing::default();
        let mut bytes = bytes.to_vec();
        bytes.chunks_mut(piece).for_each(|piece| framing.check(piece));
        bytes
    }

    const REQUESTS: &[u8] = b"\r\nGET / HTTP/1.1\r\nhost: x\r\n\r\n\
        POST /a HTTP/1.1\r\nHost: x\r\nContent-Length:  7 \r\n\r\na\nb\n\n\r\n\
        POST /b HTTP/1.1\r\nhost: x\r\ntransfer-ENCODING: chunked\r\n\r\n\
        6;x=\"y\"\r\n\n\n12\n\n\r\n00b\r\nGET / \n\r\n\n\n\r\n0\r\nafter: x\r\n\r\n\
        GET /c HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n\
        PUT /d HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\ncontent-length: 2\r\n\r\n\n\nGET / HTTP/1.1\r\n\r\n";

    #[test]
    fn requests_that_are_right_stay_as_they_are_however_they_arrive() {
        for piece in 1..=REQUESTS.len() {
            assert_eq!(checked(REQUESTS, piece), REQUESTS, "{piece}");
        }
    }

    #[test]
    fn a_line_feed_by_itself_is_spoilt_wherever_a_line_ends_and_nowhere_else() {
        // In bodies and chunks line feeds are as good as any byte; the parts that are heads are these.
        let ends: Vec<_> =
            (1..REQUESTS.len()).filter(|at| REQUESTS[at - 1..].starts_with(b"\r\n")).collect();
        let mut spoilt = 0;
        for end in ends {
            let without_return = [&REQUESTS[..end - 1], &REQUESTS[end..]].concat();
            for piece in [1, 7, REQUESTS.len()] {
                let checked = checked(&without_return, piece);
                if checked != without_return {
                    assert_eq!(checked[end - 1], 0, "{end}");
                    let mut expected = without_return.clone();
                    expected[end - 1] = 0;
                    assert_eq!(checked, expected, "{end}");
                    spoilt += 1;
                }
            }
        }
        // All lines of heads, of chunks' sizes and of trailers.
        assert!(spoilt >= 3 * 24, "{spoilt}");
        assert_eq!(checked(b"GET / HTTP/1.1\nhost: x\n\n", 100), b"GET / HTTP/1.1\0host: x\n\n");
    }

    #[test]
    fn what_nobody_can_frame_is_left_to_hyper() {
        for head in
            ["content-length: x", "content-length: 1\r\ncontent-length: 2", "content-length: -1"]
        {
            let request = format!("POST / HTTP/1.1\r\n{head}\r\n\r\na\nb");
            assert_eq!(checked(request.as_bytes(), 3), request.as_bytes(), "{head}");
        }
        let chunked = "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n";
        for size in ["x", "ffffffffffffffff", "1ffffffffffffffff", ""] {
            let request = format!("{chunked}{size}\r\na\nb");
            assert_eq!(checked(request.as_bytes(), 3), request.as_bytes(), "{size}");
        }
    }
}

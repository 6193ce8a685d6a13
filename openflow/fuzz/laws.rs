//! What must hold for any bytes. Used by the fuzz targets here and by `../tests/laws.rs`.

use std::collections::HashMap;

use bytes::Bytes;
use openflow::{Body, Framer, Header, Message, MultipartType, Reassembler};

/// A message made of any bytes: its version and length are made right, so that more than the header is read.
pub fn framed(data: &[u8]) -> Vec<u8> {
    let mut bytes = data[..data.len().min(0xffff)].to_vec();
    if let [version, _, high, low, ..] = bytes.as_mut_slice() {
        *version = 4;
        let length = (data.len().min(0xffff) as u16).to_be_bytes();
        (*high, *low) = (length[0], length[1]);
    }
    bytes
}

/// Decoding any bytes gives a message that encodes to the same bytes, with zeros for padding,
/// or an error that says where, and what may be answered.
pub fn decoding(data: &[u8]) {
    let bytes = Bytes::copy_from_slice(data);
    let message = match Message::decode(bytes.clone()) {
        Ok(message) => message,
        Err(error) => {
            assert!(error.offset <= data.len(), "{error}");
            assert!(
                !error.message.is_empty()
                    && !error.field.is_empty()
                    && !error.to_string().is_empty()
            );
            if let Some(answer) = error.answer(&bytes) {
                let header = Header::decode(&bytes).expect("what is answered has a header");
                assert_eq!(answer.xid, header.xid);
                assert!(answer.encode().is_ok());
            }
            return;
        }
    };
    let encoded = message.encode().expect("what came in fits");
    assert_eq!(encoded.len(), data.len(), "{message:?}");
    // A hello's padding is part of the hello: not all peers send it.
    let exact = matches!(message.body, Body::Hello(_));
    for (at, (ours, theirs)) in encoded.iter().zip(data).enumerate() {
        assert!(
            ours == theirs || *ours == 0 && !exact,
            "byte {at}: {theirs:#x} became {ours:#x}: {message:?}"
        );
    }
    let again = Message::decode(encoded.clone()).expect("what was encoded can be decoded");
    assert_eq!(again, message);
    assert_eq!(again.encode().expect("again"), encoded);
    let _ = message.to_string();
    match &message.body {
        Body::FlowMod(flow) => {
            let _ = flow.validate();
            let canonical = flow.match_.canonical();
            assert_eq!(canonical.canonical(), canonical);
        }
        Body::GroupMod(group) => {
            let _ = group.validate();
        }
        Body::Hello(hello) => {
            let _ = hello.negotiate();
        }
        Body::MultipartReply(reply) => {
            if let Ok(parts) = reply.clone().split(2048) {
                let mut whole = Reassembler::new(1 << 20);
                let last = parts.len() - 1;
                for (n, part) in parts.into_iter().enumerate() {
                    let joined = whole.push(Message::new(1, part), 16).expect("parts of one reply");
                    assert_eq!(joined.is_some(), n == last && !reply.more());
                    if let Some(Message { body: Body::MultipartReply(joined), .. }) = joined {
                        assert_eq!(&joined, reply);
                    }
                }
            }
        }
        _ => {}
    }
}

/// A stream gives the same messages however it is cut; the framer holds no more than it must.
pub fn framing(data: &[u8], chunk: usize) {
    let chunk = chunk.max(1);
    let mut whole = Framer::new();
    whole.feed(data);
    let mut cut = Framer::new();
    let mut chunks = data.chunks(chunk);
    let mut taken = 0;
    loop {
        let one = whole.next_frame();
        let other = loop {
            match cut.next_frame() {
                Ok(None) => match chunks.next() {
                    Some(chunk) => cut.feed(chunk),
                    None => break Ok(None),
                },
                other => break other,
            }
            assert!(cut.pending() < 0xffff + chunk);
        };
        assert_eq!(one, other);
        match one {
            Ok(Some(frame)) => {
                assert!(frame.len() >= 8);
                assert_eq!(frame, &data[taken..taken + frame.len()]);
                taken += frame.len();
            }
            Ok(None) => break,
            Err(error) => {
                assert_eq!(error.offset, taken as u64);
                assert_eq!(whole.next_frame(), Err(error));
                break;
            }
        }
    }
}

/// A stream of multipart parts never makes the reassembler hold more than its limit, and what
/// it joins is all that came, in order.
pub fn reassembly(data: &[u8]) {
    const LIMIT: usize = 2048;
    let mut framer = Framer::new();
    framer.feed(data);
    let mut whole = Reassembler::new(LIMIT);
    let mut open: HashMap<u32, Vec<u8>> = HashMap::new();
    while let Ok(Some(frame)) = framer.next_frame() {
        let frame = framed(&frame);
        let Ok(message) = Message::decode(frame.clone().into()) else { continue };
        let xid = message.xid;
        let body = match &message.body {
            Body::MultipartRequest(request) => part(&frame, &request.multipart_type(), &open, xid),
            Body::MultipartReply(reply) => part(&frame, &reply.multipart_type(), &open, xid),
            _ => {
                assert_eq!(whole.push(message.clone(), frame.len()), Ok(Some(message)));
                continue;
            }
        };
        match whole.push(message, frame.len()) {
            Ok(None) => open.entry(xid).or_default().extend(body),
            Ok(Some(joined)) => {
                let mut all = open.remove(&xid).unwrap_or_default();
                all.extend(body);
                if let Ok(encoded) = joined.encode() {
                    assert_eq!(encoded.len(), 16 + all.len(), "{joined:?}");
                    let same = |(ours, theirs): (&u8, &u8)| ours == theirs || *ours == 0;
                    assert!(encoded[16..].iter().zip(&all).all(same), "{joined:?}");
                }
            }
            Err(_) => drop(open.remove(&xid)),
        }
        assert!(whole.held() <= LIMIT);
        if frame.len().is_multiple_of(13) {
            whole.forget(xid);
            open.remove(&xid);
        }
    }
}

/// What a part adds: an experimenter's id comes with each part, and once in the whole.
fn part<'a>(
    frame: &'a [u8],
    kind: &MultipartType,
    open: &HashMap<u32, Vec<u8>>,
    xid: u32,
) -> &'a [u8] {
    let again = *kind == MultipartType::Experimenter && open.contains_key(&xid);
    &frame[if again { 24 } else { 16 }..]
}
